"""The group graph: which companies there are, their stores, and who accepts whose cards.

Words
  company      a legal entity; may issue cards (issuer type of CR-02, CR-03)
  parent       the company that controls it; the tree above and below is one group
  store        a place of one company where cards are sold and redeemed
  brand link   a brand owner's cards are redeemed by this franchisee, from a day until a day
  acceptance   a store redeems an issuer's cards if its company is in the issuer's
               group, or linked to the issuer by a brand link on that day (ruling 11)
  revision     a counter every change of the graph raises; snapshots follow it

Tables: company, store, brand_link, revision.

Invariants
  one database is one group graph; nothing carries a tenant id
  parents form a forest: no company is above itself
  every change takes the revision row first, so changes happen one after another
  companies and stores are closed, never deleted; a closed company has no open store
"""
