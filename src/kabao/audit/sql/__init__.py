"""Every statement of the auditor, from the raw tables alone.

The numbers of accounts and purposes are those of docs/LEDGER.md:

  accounts  1 principal · 2 bonus · 3, 4 the same, held · 10 cash · 11 redeemed ·
            12 bonus cost · 13 transit · 14 paid out · 15 suspense · 16 adjustment · 17 lapsed ·
            18 loss · 19 collected · 20 receivable
  purposes  1 load · 2 load void · 3 bonus · 4 bonus clawback · 5 load refund · 6 load hold ·
            7 load release · 8 recall · 10 payment · 11 hold · 12 capture · 13 release ·
            14 void · 15 refund · 16 reversal · 20 transfer · 21 merge · 30 cash-out ·
            31 card return · 32 bonus lapse · 40 adjustment · 41 loss

The smaller number of a transfer's two accounts is the card's sub-account: odd is
paid value, even is bonus; the larger one is the house account, if one is touched.
"""
