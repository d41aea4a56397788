"""The pages of `docs/reference`, generated from the code they are about.

api        openapi.json: every route, its types and its answers
errors     errors.md: every code, its status, what to do; why payments are declined
policy     policy.md: every rule, its values, since when and by which text
schema     schema.sql: every table, as a fresh database has it
life       card-life.md: the table of a card's life
verbs      verbs.md: what a key can be allowed, and which role has it
commands   commands.md: the command line and the settings

`python -m kabao.app.reference` writes them, with `--check` it says which are
stale. They need no database and read nothing but the code.
"""
