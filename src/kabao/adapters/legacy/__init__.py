"""Whatever card system a merchant had before, by the table it exports for a day.

Every one of them names its columns as it likes. Which is which stands in a file of TOML that
is written once for a system, not in code.

  mapping  that file
  bill     the reader
"""
