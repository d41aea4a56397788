"""verbs.md: what an API key can be allowed, and which role has it."""

from __future__ import annotations

from kabao.access.model.verbs import ROLES, VERBS, Role
from kabao.app.reference.markdown import page, table


def verbs() -> str:
    """The page."""
    return page(
        "Verbs and roles",
        "Every route asks for one verb; a key without it is answered 403 before anything is\n"
        "looked up. A role is a named set of verbs; keys and operators have roles, and verbs\n"
        "besides where needed.",
        table(
            ("Verb", "Permits", *(role.value for role in Role)),
            (
                (f"`{verb}`", told, *("x" if verb in ROLES[role] else "" for role in Role))
                for verb, told in VERBS.items()
            ),
        ),
    )
