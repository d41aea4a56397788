"""Law and limits as data, and the kill switches.

A *rule* is a named value (`names`) that a *row* of a *pack* gives for a time:
`packs/platform.toml` holds the house's own defaults, `national.toml` what the
law of the land says, `beijing.toml` and `shanghai.toml` what holds there
besides. `reading` makes packs of files, `book` binds them and resolves them,
for a jurisdiction, a day and a programme's *overrides*, to frozen `Rules`: the
row in force of the most specific pack wins, and no pack or programme may loosen
a *bound* set beneath it. Every row carries the id of the requirement it comes
from, which is what a refusal cites; `wording` tells it all to people.

A *switch* stops one kind of business at once for the whole group, a company
or a programme. Tables, schema `policy`: `switch` (how each stands now),
`switch_change` (every change ever, only added to), `switch_version` (one row
that counts changes, so that looking for news is one cheap read).

Invariants: a bad pack stops the process before it serves anything; from
`COVERED_FROM` on every name has a value in every jurisdiction; resolution
depends on nothing but its arguments; whoever releases a switch is not alone.
"""
