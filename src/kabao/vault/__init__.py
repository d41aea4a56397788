"""Keys, and everything that needs one: sealing, finding, proving.

Words
    suite        the pair of algorithms new values are sealed with: SM4-GCM (default) or
                 AES-256-GCM. A setting for writing only; both are always readable.
    data key     a fresh random key for one sealed value, used once and thrown away.
    KEK          key-encryption key: wraps data keys, nothing else. It has versions; the newest
                 seals, every one that is not retired opens.
    sealed       layout version, suite, KEK version, wrapped data key, ciphertext (`model.pack`).
    blind index  keyed hash of a normalised value: finds a row without opening it.
    card value   decimal verification value under the card's own SM4 key, which a master key
                 (with versions) and the card's id give. It is on the track, with its version.
    signature    SM2 over SM3: anybody can check it with the public key, only the vault makes it.
    key store    who holds the keys: a file, or an HSM behind the same port. It computes with
                 keys and never hands one out.

Table: `vault.key_check`, a check value per key, so that a database is never opened with the
wrong keys.

Invariants: a data key never seals twice, so its nonce may be constant. A value opens only in the
table, column and row it was sealed for. A KEK is retired only when no column of the database
holds a value under it. A keyed hash keeps the algorithm its key was born with, whatever the suite
is set to later: indexes and PINs would be lost otherwise. No key, PIN or plain value is in any
error or repr. Rows: B-13, R-04, P-09, P-22, P-24; design.md decision 5 for the port.
"""
