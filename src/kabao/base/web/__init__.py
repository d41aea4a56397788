"""Plumbing for HTTP: two doors over the same routes.

Words
    route      a handler of a slice's `http.py`, collected in its `ROUTES`
    hot route  a route whose core function the fast door calls without the framework
    once       one effect and one answer per Idempotency-Key
    problem    `application/problem+json`, what every failure looks like
    principal  the holder of the API key, bound by its scope and its verbs

Table
    base.idempotency   the first answer to every POST

Invariants
    * Both doors check in the same order and answer the same bytes.
    * A verb outside the key's scope is refused before anything is looked up.
    * Answers leave a connection in the order of its requests.
    * The documented types are the types the decoders enforce.

Reading order: `application` (all of it put together), `binding` (what a handler
may ask for), `problems`, `once`, `hot`, then `fast` (the protocol) and `server`.
"""
