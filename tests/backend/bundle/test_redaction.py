"""What leaves the machine holds no secret in any spelling, and can still be read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from backend.bundle.redaction import HOME, MARK, SHORTEST, Redaction, redaction_for
from backend.places import Places

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "json of json": lambda secret: json.dumps(json.dumps({"token": secret})),
    "readable json": lambda secret: json.dumps(secret, ensure_ascii=False),
    "url": lambda secret: quote(secret, safe=""),
    "path": quote,
    "kubernetes secret": lambda secret: base64.b64encode(secret.encode()).decode(),
}
FILLER = st.text(max_size=40)
SECRET = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=SHORTEST, max_size=60)
LONG = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=24, max_size=60)
FORMS = {
    "hugging face": "hf_{}",
    "google": "ya29.{}",
    "google refresh": "1//0{}",
    "google api key": "AIza{}",
    "github": "ghp_{}",
    "openai": "sk-{}",
    "jwt": "eyJhbGciOiJSUzI1NiJ9.{}.c2ln",
    "bearer": "Authorization: Bearer {}",
    "basic": "authorization: Basic {}",
    "bearer in prose": "sent bearer {} to",
    "cookie": "Cookie: session={}; other",
    "json header": '{{"Authorization": "Basic {}"}}',
    "password": "password: {}",
    "json password": '{{"db_password": "{}", "a": 1}}',
    "json in json": '{{\\"client_secret\\": \\"{}\\"}}',
    "yaml": "access_token: '{}'",
    "environment": "HF_TOKEN={} ./setup.sh",
    "query": "https://example.com/?access_token={}&next=1",
    "cut off": '"refresh_token": "{}',
    "private key": "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "private key in json": "-----BEGIN RSA PRIVATE KEY-----\\n{}\\n-----END RSA PRIVATE KEY-----",
    "private key that goes on": "-----BEGIN EC PRIVATE KEY-----\n{}\n",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=30)
@given(secret=SECRET, before=FILLER, after=FILLER)
@example(secret='ab"c\\d', before="", after="")
@example(secret="ключ/+=?", before="", after="")
def test_a_known_secret_is_gone_in_every_spelling(spelling: str, secret: str, before: str, after: str) -> None:
    assume(secret not in f"{MARK}{MARK}")
    text = f"{before} {SPELLINGS[spelling](secret)} {after}"
    redacted = Redaction(secrets=[secret])(text)
    assert secret not in redacted
    assert SPELLINGS[spelling](secret) not in redacted
    assert MARK in redacted


@given(secrets=st.lists(SECRET, min_size=2, max_size=4), text=FILLER)
def test_secrets_that_contain_each_other_are_all_gone(secrets: list[str], text: str) -> None:
    assume(all(secret not in f"{MARK} {MARK}" for secret in secrets))
    longer = [*secrets, "".join(secrets)]
    redacted = Redaction(secrets=longer)(f" {text} ".join(longer))
    assert not [secret for secret in longer if secret in redacted.replace(MARK, "\n").replace(text, "\n")]


@settings(max_examples=300)
@given(form=st.sampled_from(sorted(FORMS)), body=LONG, before=FILLER, after=FILLER)
def test_what_looks_like_a_secret_is_gone_and_stays_gone(form: str, body: str, before: str, after: str) -> None:
    assume(body not in before + after)
    redacted = Redaction()(f"{before}\n{FORMS[form].format(body)}\n{after}")
    assert body not in redacted
    again = Redaction()
    assert again(redacted) == redacted
    assert not again.taken


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_secret_is_told(form: str) -> None:
    redact = Redaction()
    assert MARK in redact(f"before {FORMS[form].format('0123456789abcdefghijABCDEFGHIJ')} after")
    assert sum(redact.taken.values()) >= 1


def test_the_end_of_a_private_key_is_gone_where_a_text_was_cut_off() -> None:
    cut = "bm90IGEga2V5\nb3V0IG9mIHRlc3Rz\n-----END PRIVATE KEY-----\nand a line"
    assert Redaction()(cut) == f"{MARK}\nand a line"


@pytest.mark.parametrize(
    "text",
    [
        '{"resource": "secret/hf-token@gke-west", "action": "create"}',
        '{"id": "huggingface/token", "status": "ok", "message": "the token is valid"}',
        '{"usage": {"prompt_tokens": 12, "completion_tokens": 34}, "tokens_per_s": 41.5, "max_tokens": 64}',
        '{"hf_token": null, "password": ""}',
        "image: ghcr.io/example/relay@sha256:0123456789abcdef",
        "the credentials were not accepted: bearer tokens end after an hour",
        "/projects/demo-project/locations/europe-west3/clusters/gke-west 200",
        "mcig-two-regions@demo-project.iam.gserviceaccount.com may pull images",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "ask-first, risk-free, task-2025-11-22 and desk-lamp-of-some-length",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert Redaction(secrets=["", "abc"], projects=["other-project"], home=Path("/"))(text) == text


def test_names_of_projects_people_and_folders_are_replaced() -> None:
    redact = Redaction(projects=["my-project"], home=Path("/srv/alice"))
    assert redact("projects/my-project/zones of my-project-2 and not-my-project") == (
        "projects/PROJECT/zones of my-project-2 and not-my-project"
    )
    assert redact("node@my-project.iam.gserviceaccount.com") == "node@PROJECT.iam.gserviceaccount.com"
    assert redact("service-123456789012@gcp-sa.iam.gserviceaccount.com, projects/123456789012/x") == (
        "service-NUMBER@gcp-sa.iam.gserviceaccount.com, projects/NUMBER/x"
    )
    assert redact("/srv/alice/.kube/config, /srv/alice-2, /home/bob/x, '/Users/bob'") == (
        f"{HOME}/.kube/config, /srv/alice-2, {HOME}/x, '{HOME}'"
    )
    assert redact("alice@corp.example, bob@corp.example and Alice@corp.example") == (
        "person-1@example.com, person-2@example.com and person-1@example.com"
    )
    assert dict(redact.taken) == {"project id": 2, "project number": 2, "home folder": 3, "mail address": 3}


def test_what_this_machine_knows_is_taken_out(tmp_path: Path) -> None:
    environ = {"MCIG_HOME": str(tmp_path / "mcig"), "HOME": str(tmp_path), "GOOGLE_CLOUD_PROJECT": "from-the-shell"}
    places = Places.of(environ)
    places.emulator.mkdir(parents=True)
    (places.emulator / "token").write_text("the token of the emulated cloud\n")
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "token").write_text("of-the-cache\n")
    redact = redaction_for(environ, places, projects=[None, "of-the-spec", "demo-project"], secrets=["a further one"])
    told = ["the token of the emulated cloud", "of-the-cache", "a further one", "from-the-shell", "of-the-spec"]
    text = yaml.safe_dump([*told, str(tmp_path)])
    assert yaml.safe_load(redact(text)) == [MARK, MARK, MARK, "PROJECT", "PROJECT", HOME]
    assert redact("demo-project") == "demo-project"
