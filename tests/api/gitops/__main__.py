"""Write docs/gitops.md."""

from tests.api.gitops import document

document.FILE.write_text(document.text(), encoding="utf-8")
