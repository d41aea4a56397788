"""Posts to addresses that strangers chose, and to nothing that is not public.

guard     connects: every address a name has is judged, and the one that was
          judged is connected to, so that a name cannot change in between
courier   the port: one POST, in time, no redirects, little of the answer read
"""
