"""What a preflight found, as a person reads it in 80 columns without colour."""

from __future__ import annotations

from backend.preflight import CHECKS, Finding, Topic, Verdict
from tui.findings_text import check_lines, findings_lines, summary
from tui.style import Style

ENABLE = "gcloud services enable compute.googleapis.com --project=demo-project"
FOUND = (
    Finding("project", Verdict.OK, "project demo-project is there", "why", None, Topic.PROJECT),
    Finding("api/compute.googleapis.com", Verdict.WARN, "it is off", "why", ENABLE, Topic.PROJECT),
    Finding("permission/a.b.c", Verdict.OK, "held", "why", None, Topic.PROJECT),
    Finding("permission/a.b.d", Verdict.OK, "held", "why", None, Topic.PROJECT),
    Finding("quota/us-east4/X", Verdict.UNKNOWN, "cannot be read", "why", ENABLE, Topic.GPU, once_enabled=True),
    Finding("quota/us-east1/X", Verdict.FAIL, "limit 0, needed 6", "it would be refused", "mcig doctor", Topic.GPU),
)


def shown(style: Style) -> str:
    return "\n".join(findings_lines(FOUND, stack="demo", where="a cloud", style=style, took_s=0.5))


def test_a_failure_has_its_reason_and_its_fix() -> None:
    text = shown(Style())
    assert "✗ fail    quota/us-east1/X" in text
    assert "why: it would be refused" in text
    assert "fix: mcig doctor" in text


def test_what_is_well_is_counted_and_what_waits_is_told_once() -> None:
    text = shown(Style(unicode=False))
    assert "2 permissions; project demo-project is there" in text
    assert "turned on by the first step of `mcig apply`: compute" in text
    assert "not to be read while APIs are off: 1 quota" in text
    assert f"To know all beforehand: {ENABLE.partition(' --')[0]}" in text
    assert text.isascii()


def test_what_one_refusal_leaves_unknown_is_told_once_and_what_follows_names_what_comes_first() -> None:
    refused = [
        Finding(f"quota/{one}", Verdict.UNKNOWN, f"{one} is unknown", "why", "ask", Topic.GPU, cause="Internal error.")
        for one in ("A", "B", "C")
    ]
    after = Finding("region/mars", Verdict.UNKNOWN, "unread", "why", None, Topic.GPU, follows="project")
    text = "\n".join(findings_lines([*refused, after], stack="demo", where="a cloud", style=Style()))
    assert "unknown 3 quotas could not be read: Internal error." in text
    assert text.count("fix: ask") == 1
    assert "not to be known before project is mended: 1 region" in text
    assert "A is unknown" not in text
    alone = "\n".join(findings_lines(refused[:1], stack="demo", where="a cloud", style=Style()))
    assert "A is unknown" in alone


def test_the_summary_counts_every_finding_once() -> None:
    assert summary(FOUND) == "1 failed, 3 ok, 1 API to turn on first, 1 to be read then."
    assert summary([]) == "Nothing was checked."


def test_every_check_is_listed_with_what_it_reads_and_saves_from() -> None:
    lines = list(check_lines(CHECKS, Style()))
    assert [line for line in lines if not line.startswith(" ")] == [check.ids for check in CHECKS]
    assert sum(line.startswith("  reads ") for line in lines) == len(CHECKS)
    assert max(map(len, lines)) <= 80
