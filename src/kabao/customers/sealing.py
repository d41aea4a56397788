"""Between a customer in clear and its sealed row."""

from __future__ import annotations

import msgspec

from kabao.customers.model import COLUMN, IDENTITY_INDEX, PHONE_INDEX, TABLE, Customer
from kabao.customers.personal import Identity, Profile
from kabao.customers.sql import Row
from kabao.vault.ops import Vault


class Seal:
    """Seals a profile whole, and makes the two indexes it is found by."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def phone_index(self, phone: str) -> bytes:
        """What a phone (E.164) is found by."""
        return self._vault.blind_index(PHONE_INDEX, phone)

    def identity_index(self, identity: Identity) -> bytes:
        """What an identity in its one form is found by."""
        return self._vault.blind_index(IDENTITY_INDEX, f"{identity.type}:{identity.number}")

    def opened(self, row: Row) -> Customer:
        """The customer in clear."""
        profile = None
        if row.profile is not None:
            plain = self._vault.decrypt(TABLE, COLUMN, row.id, row.profile)
            profile = msgspec.json.decode(plain, type=Profile)
        return Customer(
            id=row.id,
            company=row.company,
            party=row.party,
            state=row.state,
            level=row.level,
            profile=profile,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    def sealed(self, customer: Customer) -> Row:
        """The row to store."""
        profile = sealed = None
        if customer.profile is not None:
            profile = customer.profile
            sealed = self._vault.encrypt(TABLE, COLUMN, customer.id, msgspec.json.encode(profile))
        phone = profile.phone if profile else None
        identity = profile.identity if profile else None
        return Row(
            id=customer.id,
            company=customer.company,
            party=customer.party,
            state=customer.state,
            level=customer.level,
            profile=sealed,
            phone_index=None if phone is None else self.phone_index(phone),
            identity_index=None if identity is None else self.identity_index(identity),
            created_at=customer.created_at,
            updated_at=customer.updated_at,
        )
