"""Secrets are found in every context, and nothing else is. All tokens here are made up while the tests run."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu.security.redaction import Finding, Redacted, redact

NOTES = Path(__file__).parents[1] / "data" / "agent-notes" / "notes.jsonl"

ALNUM = string.ascii_letters + string.digits
WIDE = ALNUM + "_-"
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"
DASHES = "-" * 5


class Maker:
    """Random parts of tokens, the same ones in each run."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def __call__(self, characters: str, length: int) -> str:
        return "".join(self._random.choices(characters, k=length))

    def base64_lines(self, lines: int) -> list[str]:
        return [*(self(ALNUM + "+/", 64) for _ in range(lines)), self(ALNUM, 22) + "=="]


# What stands before the secret, the secret, and what stands after it.
Parts = tuple[str, str, str]


def bare(make: Callable[[Maker], str]) -> Callable[[Maker], Parts]:
    return lambda m: ("", make(m), "")


def private_key(kind: str, line_end: str, header: str = "", *, whole: bool = True) -> Callable[[Maker], Parts]:
    def make(m: Maker) -> Parts:
        lines = [f"{DASHES}BEGIN {kind}{DASHES}", *([header, ""] if header else []), *m.base64_lines(6)]
        return "", line_end.join([*lines, f"{DASHES}END {kind}{DASHES}"] if whole else lines[:-1]), ""

    return make


def discord_id(m: Maker, groups: int) -> str:
    return "".join(m("MNO", 1) + m("DTjz", 1) + m("AEIMQUYcgk", 1) + m("wxyz012345", 1) for _ in range(groups))


FAMILIES: dict[str, tuple[str, Callable[[Maker], Parts]]] = {
    "age": ("age-secret-key", bare(lambda m: "AGE-SECRET-KEY-1" + m("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))),
    "airtable": ("airtable-token", bare(lambda m: f"pat{m(ALNUM, 14)}.{m(HEX, 64)}")),
    "anthropic": ("anthropic-key", bare(lambda m: f"sk-ant-api03-{m(WIDE, 93)}AA")),
    "anthropic oauth": ("anthropic-key", bare(lambda m: f"sk-ant-oat01-{m(WIDE, 93)}AA")),
    "api key header": ("api-key-header", lambda m: ("X-Api-Key: ", m(ALNUM, 31) + "7", "")),
    "atlassian": ("atlassian-token", bare(lambda m: f"ATATT3xFfGF0{m(WIDE, 175)}={m(HEX.upper(), 8)}")),
    "authorization basic": ("authorization-header", lambda m: ("Authorization: Basic ", m(ALNUM, 22) + "==", "")),
    "authorization bearer": ("authorization-header", lambda m: ("Authorization: Bearer ", m(ALNUM, 31) + "7", "")),
    "aws": ("aws-access-key", bare(lambda m: "AKIA" + m(UPPER, 16))),
    "aws temporary": ("aws-access-key", bare(lambda m: "ASIA" + m(UPPER, 16))),
    "aws secret": ("aws-secret-key", lambda m: ("aws_secret_access_key = ", m(ALNUM + "/+", 40), "")),
    "azure client": ("azure-client-secret", bare(lambda m: f"{m(ALNUM, 3)}8Q~{m(ALNUM + '_.', 30)}{m(ALNUM, 4)}")),
    "azure sas": ("azure-sas", lambda m: ("?sv=2024-11-04&sig=", m(ALNUM, 43) + "%3D", "&se=2026-01-01")),
    "azure storage": ("azure-storage-key", lambda m: ("AccountKey=", m(ALNUM + "+/", 86) + "==", ";Endpoint=x")),
    "bearer": ("authorization-header", lambda m: ("send Bearer ", m(ALNUM, 40) + "42", "")),
    "buildkite": ("buildkite-token", bare(lambda m: "bkua_" + m(HEX, 40))),
    "circleci": ("circleci-token", bare(lambda m: f"CCIPAT_{m(ALNUM, 22)}_{m(HEX, 40)}")),
    "cloudflare": ("cloudflare-token", bare(lambda m: "cfut_" + m(ALNUM, 40) + m(HEX, 8))),
    "cloudflare origin": ("cloudflare-token", bare(lambda m: f"v1.0-{m(HEX, 24)}-{m(HEX, 146)}")),
    "contentful": ("contentful-token", bare(lambda m: "CFPAT-" + m(WIDE, 43))),
    "crates.io": ("crates-io-token", bare(lambda m: "cio" + m(ALNUM, 32))),
    "databricks": ("databricks-token", bare(lambda m: f"dapi{m(HEX, 32)}-2")),
    "digitalocean": ("digitalocean-token", bare(lambda m: "dop_v1_" + m(HEX, 64))),
    "discord bot": ("discord-bot-token", bare(lambda m: f"{discord_id(m, 6)}{m(ALNUM, 2)}.{m(WIDE, 6)}.{m(WIDE, 38)}")),
    "discord webhook": (
        "discord-webhook",
        lambda m: ("https://", f"discord.com/api/webhooks/{m('13579', 18)}/{m(WIDE, 68)}", ""),
    ),
    "docker": ("docker-token", bare(lambda m: "dckr_pat_" + m(WIDE, 27))),
    "doppler": ("doppler-token", bare(lambda m: "dp.pt." + m(ALNUM, 43))),
    "doppler service": ("doppler-token", bare(lambda m: "dp.st.prd_eu." + m(ALNUM, 43))),
    "dropbox": ("dropbox-token", bare(lambda m: "sl.u." + m(WIDE, 140))),
    "facebook": ("facebook-token", bare(lambda m: "EAAG" + m(ALNUM, 160))),
    "figma": ("figma-token", bare(lambda m: "figd_" + m(WIDE, 40))),
    "fly.io": ("flyio-token", bare(lambda m: f"fm2_{m(ALNUM + '+/', 120)}=")),
    "github classic": ("github-token", bare(lambda m: "ghp_" + m(ALNUM, 36))),
    "github oauth": ("github-token", bare(lambda m: "gho_" + m(ALNUM, 36))),
    "github user": ("github-token", bare(lambda m: "ghu_" + m(ALNUM, 36))),
    "github server": ("github-token", bare(lambda m: "ghs_" + m(ALNUM, 36))),
    "github server, stateless": (
        "github-token",
        bare(lambda m: f"ghs_{m('1379', 7)}_eyJ{m(WIDE, 60)}.eyJ{m(WIDE, 200)}.{m(WIDE, 90)}"),
    ),
    "github refresh": ("github-token", bare(lambda m: "ghr_" + m(ALNUM, 76))),
    "github fine-grained": ("github-token", bare(lambda m: f"github_pat_{m(ALNUM, 22)}_{m(ALNUM, 59)}")),
    "gitlab": ("gitlab-token", bare(lambda m: "glpat-" + m(WIDE, 20))),
    "gitlab, routable": ("gitlab-token", bare(lambda m: f"glpat-{m(WIDE, 27)}.01.{m(HEX, 9)}")),
    "gitlab runner": ("gitlab-token", bare(lambda m: "glrt-t1_" + m(WIDE, 20))),
    "google api": ("google-api-key", bare(lambda m: "AIzaSy" + m(WIDE, 33))),
    "google oauth": ("google-oauth-token", bare(lambda m: "ya29.a0" + m(WIDE, 160))),
    "google refresh": ("google-oauth-token", bare(lambda m: "1//0g" + m(WIDE, 60))),
    "google client": ("google-client-secret", bare(lambda m: "GOCSPX-" + m(WIDE, 28))),
    "grafana": ("grafana-token", bare(lambda m: f"glsa_{m(ALNUM, 32)}_{m(HEX, 8)}")),
    "grafana cloud": ("grafana-token", bare(lambda m: f"glc_eyJ{m(ALNUM, 120)}==")),
    "groq": ("groq-key", bare(lambda m: "gsk_" + m(ALNUM, 52))),
    "heroku": ("heroku-key", bare(lambda m: "HRKU-AA" + m(WIDE, 58))),
    "hugging face": ("huggingface-token", bare(lambda m: "hf_" + m(ALNUM, 34))),
    "jwt": ("jwt", bare(lambda m: f"eyJ{m(WIDE, 33)}.eyJ{m(WIDE, 120)}.{m(WIDE, 43)}")),
    "langsmith": ("langsmith-key", bare(lambda m: f"lsv2_pt_{m(HEX, 32)}_{m(HEX, 10)}")),
    "linear": ("linear-key", bare(lambda m: "lin_api_" + m(ALNUM, 40))),
    "mailgun": ("mailgun-key", bare(lambda m: "key-" + m(HEX, 32))),
    "mapbox": ("mapbox-token", bare(lambda m: f"sk.eyJ{m(ALNUM, 60)}.{m(WIDE, 22)}")),
    "netlify": ("netlify-token", bare(lambda m: "nfp_" + m(ALNUM, 36))),
    "new relic": ("new-relic-key", bare(lambda m: "NRAK-" + m(UPPER, 27))),
    "notion": ("notion-token", bare(lambda m: f"ntn_{m('13579', 11)}{m(ALNUM, 35)}")),
    "notion, old": ("notion-token", bare(lambda m: "secret_" + m(ALNUM, 43))),
    "npm": ("npm-token", bare(lambda m: "npm_" + m(ALNUM, 36))),
    "nuget": ("nuget-key", bare(lambda m: "oy2" + m(string.ascii_lowercase + string.digits, 43))),
    "nvidia": ("nvidia-key", bare(lambda m: "nvapi-" + m(WIDE, 64))),
    "1password": ("onepassword-token", bare(lambda m: f"ops_eyJ{m(ALNUM, 600)}")),
    "openai project": ("openai-key", bare(lambda m: f"sk-proj-{m(WIDE, 74)}T3BlbkFJ{m(WIDE, 74)}")),
    "openai service": ("openai-key", bare(lambda m: f"sk-svcacct-{m(WIDE, 74)}T3BlbkFJ{m(WIDE, 74)}")),
    "openai, old": ("openai-key", bare(lambda m: f"sk-{m(ALNUM, 20)}T3BlbkFJ{m(ALNUM, 20)}")),
    "openrouter": ("openrouter-key", bare(lambda m: "sk-or-v1-" + m(HEX, 64))),
    "perplexity": ("perplexity-key", bare(lambda m: "pplx-" + m(ALNUM, 48))),
    "pgp key": ("private-key", private_key("PGP PRIVATE KEY BLOCK", "\n", "Version: GnuPG v2")),
    "planetscale": ("planetscale-token", bare(lambda m: "pscale_tkn_" + m(WIDE, 43))),
    "postman": ("postman-key", bare(lambda m: f"PMAK-{m(HEX, 24)}-{m(HEX, 34)}")),
    "private key": ("private-key", private_key("PRIVATE KEY", "\n")),
    "private key, cut off": ("private-key", private_key("RSA PRIVATE KEY", "\n", whole=False)),
    "private key, encrypted": ("private-key", private_key("RSA PRIVATE KEY", "\n", "DEK-Info: AES-128-CBC,9F3C")),
    "private key, one line": ("private-key", private_key("PRIVATE KEY", r"\n")),
    "private key, quoted": ("private-key", private_key("EC PRIVATE KEY", "\n> ")),
    "private key, ssh": ("private-key", private_key("OPENSSH PRIVATE KEY", "\r\n")),
    "pulumi": ("pulumi-token", bare(lambda m: "pul-" + m(HEX, 40))),
    "pypi": ("pypi-token", bare(lambda m: "pypi-AgEIcHlwaS5vcmc" + m(WIDE, 150))),
    "replicate": ("replicate-token", bare(lambda m: "r8_" + m(ALNUM, 37))),
    "resend": ("resend-key", bare(lambda m: f"re_{m(ALNUM, 8)}_{m(ALNUM, 24)}")),
    "rubygems": ("rubygems-key", bare(lambda m: "rubygems_" + m(HEX, 48))),
    "sendgrid": ("sendgrid-key", bare(lambda m: f"SG.{m(WIDE, 22)}.{m(WIDE, 43)}")),
    "sentry": ("sentry-token", bare(lambda m: f"sntrys_eyJ{m(ALNUM, 90)}=_{m(ALNUM, 43)}")),
    "shopify": ("shopify-token", bare(lambda m: "shpat_" + m(HEX, 32))),
    "slack bot": ("slack-token", bare(lambda m: f"xoxb-{m('13579', 12)}-{m('13579', 13)}-{m(ALNUM, 24)}")),
    "slack app": ("slack-token", bare(lambda m: f"xapp-1-A{m(UPPER, 10)}-{m('13579', 13)}-{m(HEX, 64)}")),
    "slack rotated": ("slack-token", bare(lambda m: f"xoxe.xoxp-1-{m(ALNUM, 160)}")),
    "slack webhook": (
        "slack-webhook",
        lambda m: ("https://", f"hooks.slack.com/services/T{m(UPPER, 8)}/B{m(UPPER, 10)}/{m(ALNUM, 24)}", ""),
    ),
    "square": ("square-token", bare(lambda m: "sq0csp-" + m(WIDE, 43))),
    "square access": ("square-token", bare(lambda m: "EAAAl" + m(WIDE, 59))),
    "stripe": ("stripe-key", bare(lambda m: "sk_live_" + m(ALNUM, 99))),
    "stripe restricted": ("stripe-key", bare(lambda m: "rk_live_" + m(ALNUM, 24))),
    "stripe webhook": ("stripe-webhook-secret", bare(lambda m: "whsec_" + m(ALNUM, 32))),
    "supabase": ("supabase-key", bare(lambda m: "sbp_" + m(HEX, 40))),
    "supabase project": ("supabase-key", bare(lambda m: f"sb_secret_{m(WIDE, 22)}_{m(ALNUM, 8)}")),
    "tailscale": ("tailscale-key", bare(lambda m: f"tskey-auth-k{m(ALNUM, 8)}CNTRL-{m(ALNUM, 32)}")),
    "tavily": ("tavily-key", bare(lambda m: "tvly-dev-" + m(ALNUM, 32))),
    "teams webhook": (
        "teams-webhook",
        lambda m: ("https://acme.", f"webhook.office.com/webhookb2/{m(HEX, 36)}@{m(HEX, 36)}/IncomingWebhook/x", ""),
    ),
    "telegram": ("telegram-bot-token", bare(lambda m: f"{m('13579', 10)}:AA{m(WIDE, 32)}{m(ALNUM, 1)}")),
    "terraform": ("terraform-token", bare(lambda m: f"{m(ALNUM, 14)}.atlasv1.{m(WIDE, 67)}")),
    "twilio": ("twilio-key", bare(lambda m: "SK" + m(HEX, 32))),
    "url password": ("url-password", lambda m: ("postgresql://app:", m(ALNUM + "!$%-_", 16), "@db.internal:5432/app")),
    "url without user": ("url-password", lambda m: ("redis://:", m(ALNUM, 12), "@cache:6379/0")),
    "vault": ("vault-token", bare(lambda m: "hvs." + m(WIDE, 95))),
    "wireguard": ("wireguard-key", lambda m: ("PrivateKey = ", m(ALNUM + "+/", 43) + "=", "")),
    "xai": ("xai-key", bare(lambda m: "xai-" + m(ALNUM, 80))),
}

CONTEXTS = {
    "bare": "{}",
    "prose": "The deploy failed until we set it to {} and restarted.",
    "end of a sentence": "Use {}.",
    "assignment": "export API_KEY={}\nexport OTHER=1",
    "quoted assignment": "token: '{}'",
    "json": '{{"id": 7, "token": "{}"}}',
    "json, in a string": r'{{"body": "line one\n{}\nline three"}}',
    "markdown": "- the key is `{}`",
    "japanese": "本番のキーは{}です。",
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_secret_is_masked_in_every_context_and_all_around_it_stays(family: str, context: str) -> None:
    rule, parts = FAMILIES[family]
    make = Maker(f"{family} {context}")
    for _ in range(5):
        before, secret, after = parts(make)
        text = CONTEXTS[context].format(before + secret + after)
        redacted = redact(text)
        expected = text.replace(secret, f"[redacted:{rule}]")
        assert redacted.findings == (Finding(rule, 1),), text
        assert redacted.text in (expected, expected.removesuffix("."))  # a few formats may end with a full stop


def test_there_are_enough_families_to_speak_of_recall() -> None:
    assert len(FAMILIES) >= 24


def test_ordinary_notes_have_no_secrets() -> None:
    notes = [json.loads(line) for line in NOTES.read_text(encoding="utf-8").splitlines()]
    texts = [f"{note['subject']}\n\n{note['text']}" for note in notes]
    assert len(texts) == 300
    found = [(text, redact(text).findings) for text in texts if redact(text).findings]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "set OPENAI_API_KEY=sk-... in .env",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ghp_" + "X" * 36,
        "curl -H 'Authorization: Bearer <token>'",
        "curl -H 'Authorization: Bearer $GITHUB_TOKEN'",
        'headers = {"Authorization": f"Bearer {token}"}',
        "Authorization: Bearer ${{ secrets.DEPLOY_TOKEN_FOR_CI_2026 }}",
        "Authorization: Basic realm",
        "the bearer token middleware reads the header twice",
        "Bearer authentication-for-internal-services",
        "postgres://user:password@localhost:5432/db",
        "postgres://app:${DB_PASSWORD}@db/app",
        "postgres://app:$DB_PASSWORD@db/app",
        "postgres://app:<password>@db/app",
        "postgres://app:[PASSWORD]@db/app",
        "postgres://app:***@db/app",
        "mysql://{user}:{password}@{host}/{name}",
        "mysql://%s:%s@%s/app",
        "amqp://guest:guest@rabbit:5672//",
        "https://github.com/acme/app/pull/12",
        "ssh://git@github.com:22/acme/app.git",
        "see http://localhost:3000, mail ops@example.org",
        "http://localhost:3000,ops@example.org",
        "http://localhost:8080/@fs/src/main.ts and http://[::1]:8080/@x",
        "https://medium.com/@someone/a-story",
        f"a file that starts with {DASHES}BEGIN PRIVATE KEY{DASHES} is refused",
        f"between {DASHES}BEGIN PRIVATE KEY{DASHES} and {DASHES}END PRIVATE KEY{DASHES} stands the key",
        f"{DASHES}BEGIN PRIVATE KEY{DASHES}\n...\n{DASHES}END PRIVATE KEY{DASHES}",
        f"{DASHES}BEGIN PUBLIC KEY{DASHES}\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n{DASHES}END PUBLIC KEY{DASHES}",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "id 123e4567-e89b-42d3-a456-426614174000",
        "integrity sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5Fvxg==",
        "task-0f8fad5bd9cb469fa16570867728950e finished",
        "cache-key-d41d8cd98f00b204e9800998ecf8427e",
        "npm_config_registry and npm_lifecycle_event are set",
        "hf_hub_download_with_a_retry_and_a_very_long_name",
        "the private_key_passphrase_is_read_from_the_keyring setting",
        "TASKSKIPPED RISK0a1b2c",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "秘密は環境変数から読む。パスワードはここに書かない。",
        "",
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redact(text) == Redacted(text, ())


def test_the_findings_name_each_kind_once_and_count() -> None:
    make = Maker("counts")
    npm, first, second = "npm_" + make(ALNUM, 36), "ghp_" + make(ALNUM, 36), "ghs_" + make(ALNUM, 36)
    redacted = redact(f"{npm} {first} {second} {first}")
    assert redacted.text == "[redacted:npm-token]" + " [redacted:github-token]" * 3
    assert set(redacted.findings) == {Finding("npm-token", 1), Finding("github-token", 3)}


def test_of_a_url_only_the_password_goes_and_a_token_in_it_keeps_its_own_name() -> None:
    token = "ghp_" + Maker("url")(ALNUM, 36)
    assert redact("mongodb://root:s3cr3t,p@ss@h1:27017,h2:27017/a").text == (
        "mongodb://root:[redacted:url-password]@h1:27017,h2:27017/a"
    )
    assert redact(f"https://x-access-token:{token}@github.com/a/b").text == (
        "https://x-access-token:[redacted:github-token]@github.com/a/b"
    )
    assert redact(f"https://{token}:x-oauth-b4sic@github.com/a/b").text == (
        "https://[redacted:github-token]:[redacted:url-password]@github.com/a/b"
    )


def test_a_token_is_masked_to_its_end_even_if_it_is_longer_than_the_format_says() -> None:
    assert redact("ghp_" + Maker("long")(ALNUM, 60) + "_tail.").text == "[redacted:github-token]."


def test_all_of_a_private_key_goes_whatever_stands_around_it() -> None:
    _, key, _ = private_key("OPENSSH PRIVATE KEY", "\n")(Maker("block"))
    assert (
        redact(f"before\n{key}\nafter\n{key}").text == "before\n[redacted:private-key]\nafter\n[redacted:private-key]"
    )
    cut = key[: key.rindex("\n")]
    assert redact(f"{cut}\nThen we rotated it.").text == "[redacted:private-key]\nThen we rotated it."


def test_what_a_mask_uncovers_is_masked_too() -> None:
    begin, end = f"{DASHES}BEGIN PRIVATE KEY{DASHES}", f"{DASHES}END PRIVATE KEY{DASHES}"
    token = "ghp_" + Maker("glued")(ALNUM, 36) + DASHES  # its dashes hide the end of the key
    once = redact(f"{begin}{'A1b2' * 4} {token} and more {end}")
    assert once.text == "[redacted:private-key]"
    assert once.findings == (Finding("github-token", 1), Finding("private-key", 1))


# Laws -----------------------------------------------------------------------------------------------------------------

PIECES = [
    *("".join(parts(Maker(f"{family} piece"))) for family, (_, parts) in FAMILIES.items()),
    *(
        "sk-",
        "ghp_",
        "eyJ",
        "://",
        "a:",
        "@",
        "Bearer ",
        "SK",
        "cio",
        "key-",
        ".",
        "/",
        "-",
        "_",
        "[redacted:x]",
        "]",
        "[",
    ),
    *("Authorization: ", "Basic ", f"{DASHES}BEGIN PRIVATE KEY{DASHES}", f"{DASHES}END PRIVATE KEY{DASHES}", DASHES),
    *(" ", "\n", r"\n", "%20", "=", "abcd1234" * 4, "0af1" * 8, "Zz9", "密", "\ud800", "\x00"),
]
PIECES += [piece[:-5] for piece in PIECES if len(piece) > 20]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=12).map("".join))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once.text) == Redacted(once.text, ())


@given(st.text(max_size=200))
def test_nothing_is_masked_without_a_finding(text: str) -> None:
    redacted = redact(text)
    assert (redacted.text == text) == (not redacted.findings)


HOSTILE = {
    **{
        f"{piece!r} repeated": piece
        for piece in ("sk-", "eyJ", "-eyJ", ".eyJ", "eyJaaaaaaaa.", "ghp_", "SG.", "github_pat_", "-")
    },
    "BEGIN lines": f"{DASHES}BEGIN ",
    "BEGIN lines of keys": f"{DASHES}BEGIN PRIVATE KEY{DASHES}\naaaaaaaaaaaaaaa ",
    "keys cut off": f"{DASHES}BEGIN PRIVATE KEY{DASHES}\n{'A1b2' * 16}\n",
    "urls": "x://a:",
    "long urls": f"x://{'a' * 127}:{'b' * 250} ",
    "headers": "Authorization: Bearer ",
    "bearers": f"Bearer {'a' * 79}1{'a' * 79} ",
    "discord": "MTAwMTAwMTAwMTAwMTAwMTAw.",
    "keyed": "secret_access_key===",
    "every prefix": " ".join("." * 30 + "A1" + piece[:12] for piece in PIECES) + " ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    text = (HOSTILE[name] * (64 * 1024 // len(HOSTILE[name]) + 1))[: 64 * 1024]
    redact(text[:1024])  # compiles what it needs
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 0.5  # about 0.02 here; what is quadratic takes minutes


def test_a_private_key_is_masked_however_short_what_stands_between_its_lines_is() -> None:
    text = f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\nMIIEow\n{DASHES}END RSA PRIVATE KEY{DASHES}"
    assert "MIIEow" not in redact(text).text
