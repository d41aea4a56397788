"""Our account at a bank: transfers come to it, statements tell of them, payouts leave it.

Each order has a virtual account, a number under ours that ends in the order's reference;
a payer who transfers to the account itself writes the reference along. The bank tells in
ISO 20022: camt.054 of single entries, camt.053 of a day, pain.002 about a payout, which
we order with pain.001. The envelope is that of gateways (decision 0037).

  xml       reading documents that may be hostile: a stream of elements, no DTD, no entities
  entries   the entries of statements and notifications
  statement a day, whole: the opening balance and the entries make the closing balance
  table     the same day as a table (CSV), for banks without camt
  payout    pain.001 written, pain.002 read: of one sum or of many
  meaning   what entries and statuses mean: values of the port
  channel   the port to what comes
  batches   the port to what clearing pays out

Only what is booked counts. A sum that is not exactly the order's, or bears no reference, is
never made to fit: `receipts` tells of it, and it is nobody's until a person has looked.
"""
