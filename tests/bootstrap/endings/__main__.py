"""Write docs/endings.md; with --check, say whether it is as the table says."""

import sys

from tests.bootstrap.endings import document

if "--check" in sys.argv[1:]:
    if document.FILE.read_text(encoding="utf-8") != document.text():
        sys.exit("docs/endings.md is not what the table says: run `python -m tests.bootstrap.endings`")
else:
    document.FILE.write_text(document.text(), encoding="utf-8")
