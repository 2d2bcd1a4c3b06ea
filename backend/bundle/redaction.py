"""Taking secrets and names of people and projects out of texts that leave the machine.

Two nets: what is known to be secret here is found in every spelling it may have in a text, and what looks like a
secret is found by its form or by the name before it. Invariants: a known secret is in no spelling left in the result;
redacting a redacted text changes nothing; ordinary words, ids and figures stay, so that the report can be read.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr

from backend.places import Places
from backend.surroundings import gcloud_project, hugging_face_token

MARK = "REDACTED"
"""Stands where a secret was."""
SHORTEST = 6
"""Characters that a known secret has at least; a shorter one would take ordinary words with it."""
PROJECT = "PROJECT"
"""Stands for a project's id."""
HOME = "$HOME"
"""Stands for a person's home folder."""

_KEY = "private key"
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")
_FORMS: Mapping[str, re.Pattern[str]] = {
    "Hugging Face token": re.compile(r"hf_[A-Za-z0-9]{16,}"),
    "Google token": re.compile(r"ya29\.[\w.-]+|1//0[\w-]{20,}|AIza[\w-]{20,}|GOCSPX-[\w-]{16,}"),
    "signed token": re.compile(r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"),
    "token": re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|sk-|xox[abp]-)[A-Za-z0-9_-]{20,}"),
}
"""Secrets that are known by how they begin."""
_BEARER = re.compile(r"(?i)\b(bearer\s+)(?=[\w.~+/=-]*\d|[\w.~+/=-]{16})[\w.~+/=-]{6,}")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)([\"'\\]*\s*[:=][\s\"'\\]*)(?!REDACTED)[^\s\"'\\][^\r\n\"'\\]*"
)
_NAMED = re.compile(
    r"""(?ix)
    ( [\w.-]* (?: passw(?:or)?d | passphrase | client[_-]?secret | private[_-]?key(?:[_-]?id)? | api[_-]?key
                | (?:access|refresh|id|auth|bearer|hf|session|api)[_-]?token ) ["'\\]* \s*[:=]\s* )
    (?: "(?:\\.|[^"\\\n])*(?:"|$)
      | '(?:\\.|[^'\\\n])*(?:'|$)
      | \\+["'](?:.*?)\\+["']
      | (?!REDACTED) [^\s,;&"'}\]\\]+ )
    """,
    re.MULTILINE,
)
_NOTHING = re.compile(r"""["'\\]*(?:null|none|true|false|-|)["'\\]*""", re.IGNORECASE)
_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_MAIL_KEPT = (".gserviceaccount.com", "@example.com")
_NUMBER = re.compile(r"(\bprojects/|\bservice-|\bproject_number[\"'\\:= ]+)\d{6,}\b")
_HOME = re.compile(r"/(?:home|Users)/[^/\s\"':,;]+")


class Redaction:
    """Takes secrets and names out of texts, and counts what it took."""

    def __init__(self, *, secrets: Iterable[str] = (), projects: Iterable[str] = (), home: Path | None = None) -> None:
        known = {form for secret in secrets if len(secret.strip()) >= SHORTEST for form in _spellings(secret.strip())}
        self._known = sorted(known, key=lambda form: (-len(form), form))
        self._projects = [re.compile(rf"(?<![a-z0-9-]){re.escape(name)}(?![a-z0-9-])") for name in sorted(projects)]
        self._home = None if home is None or len(home.parts) < 2 else re.compile(rf"{re.escape(str(home))}(?![\w-])")
        self._people: dict[str, str] = {}
        self.taken: Counter[str] = Counter()
        """How often something was taken out, by what it was."""

    def __call__(self, text: str) -> str:
        """The text without what should not leave the machine."""
        for secret in self._known:
            if count := text.count(secret):
                self.taken["secret of this machine"] += count
                text = text.replace(secret, MARK)
        text = self._keys(text)
        for kind, form in _FORMS.items():
            text = self._replace(kind, form, MARK, text)
        text = self._replace("token", _BEARER, rf"\1{MARK}", text)
        text = self._replace("header", _HEADER, rf"\1\2{MARK}", text)
        text = _NAMED.sub(self._named, text)
        for project in self._projects:
            text = self._replace("project id", project, PROJECT, text)
        text = self._replace("project number", _NUMBER, r"\1NUMBER", text)
        text = _MAIL.sub(self._mail, text)
        for home in (self._home, _HOME):
            if home is not None:
                text = self._replace("home folder", home, HOME, text)
        return text

    def _keys(self, text: str) -> str:
        """Take out private keys, also one of which a text that was cut off holds only the beginning or the end."""
        end = _KEY_END.search(text)
        if end is not None and _KEY_BEGIN.search(text, 0, end.start()) is None:
            self.taken[_KEY] += 1
            text = MARK + text[end.end() :]
        return self._replace(_KEY, _KEY_BLOCK, MARK, text)

    def _replace(self, kind: str, pattern: re.Pattern[str], by: str, text: str) -> str:
        text, count = pattern.subn(by, text)
        if count:
            self.taken[kind] += count
        return text

    def _named(self, found: re.Match[str]) -> str:
        value = found[0][len(found[1]) :]
        if _NOTHING.fullmatch(value):
            return found[0]
        quoted = re.match(r"\\*[\"']", value)
        mark = f"{quoted[0]}{MARK}{quoted[0]}" if quoted else MARK
        if value != mark:
            self.taken["value with a secret's name"] += 1
        return found[1] + mark

    def _mail(self, found: re.Match[str]) -> str:
        if found[0].endswith(_MAIL_KEPT):
            return found[0]
        self.taken["mail address"] += 1
        return self._people.setdefault(found[0].lower(), f"person-{len(self._people) + 1}@example.com")


def redaction_for(
    environ: Mapping[str, str], places: Places, *, projects: Iterable[str | None] = (), secrets: Iterable[str] = ()
) -> Redaction:
    """The redaction of one machine: its Hugging Face token, the emulated cloud's token, its projects and home folder.

    ``projects`` and ``secrets`` are further ones. The only project of the emulated cloud is nobody's and stays.
    """
    from backend.emulator.control import PROJECT as REHEARSED
    from backend.spec import Target

    token = hugging_face_token(Target.GKE, environ)
    named = {*projects, environ.get("GOOGLE_CLOUD_PROJECT"), gcloud_project(environ)}
    return Redaction(
        secrets=[*_unwrapped(token), *_emulator_tokens(places), *secrets],
        projects=[name for name in named if name and name != REHEARSED],
        home=Path(environ["HOME"]) if environ.get("HOME") else Path.home(),
    )


def _unwrapped(token: SecretStr | None) -> Iterator[str]:
    if token is not None:
        yield token.get_secret_value()


def _emulator_tokens(places: Places) -> Iterator[str]:
    try:
        yield (places.emulator / "token").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it stands in plain text, JSON, JSON inside JSON, a URL and a Kubernetes Secret."""
    yield secret
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield quote(secret, safe="")
    yield quote(secret)
    yield base64.b64encode(secret.encode(errors="surrogatepass")).decode().rstrip("=")
