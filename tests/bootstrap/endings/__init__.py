"""How every call ends, and how that is told: a table (`table.py`), the applications that end their calls that way, and docs/endings.md, which is written from the table."""
