"""Takes secrets out of text before it is saved, and says which kinds it took out.

`redact` is pure: no file, no network, no state. It knows formats, not randomness: each rule starts from the literal
prefix that an issuer gives its tokens (`ghp_`, `AKIA`, `sk-ant-`), so a hash, an id or a path is never mistaken for
a key, and a password without any such mark is not found. Whether a token is still valid is never asked.

Masked text reads `[redacted:github-token]`; what surrounds it stays, so the note keeps its meaning. Obvious stand-ins
(`ghp_xxxxxxxx`, `sk-...`, `${TOKEN}`) are left alone. Redacting twice is redacting once.

How it stays cheap: nearly all secrets are long runs of characters without a space, and most of a note is not. So the
anchors of most rules are looked for in the long runs only, and only rules whose anchor occurred are compiled (by `re`,
which keeps them) and run. Each repeat in a pattern is bounded or possessive, and no two attempts read the same
unbounded stretch: hostile text costs linear time.

Source: the token formats that issuers publish for secret scanning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from nokosu.memory import Finding

__all__ = ["Finding", "Redacted", "redact"]

PASSES_MAX: Final = 4  # a mask may uncover what the masked text had kept from matching; no real text needs three
RUN_CHARS_MIN: Final = 20  # the shortest token of `_RUN_RULES` with its prefix: an AWS access key


class Redacted(msgspec.Struct, frozen=True):
    """Text without its secrets, and what was taken out, in the order of the rules."""

    text: str
    findings: tuple[Finding, ...]


def redact(text: str) -> Redacted:
    """Mask every secret in *text* that has a known format.

    >>> redact("push with ghp_" + "1A2b3C4d5E6f" * 3)
    Redacted(text='push with [redacted:github-token]', findings=(Finding(rule='github-token', count=1),))
    """
    counts: dict[str, int] = {}
    for _ in range(PASSES_MAX):
        masked = _redact_once(text, counts)
        if masked == text:
            break
        text = masked
    return Redacted(text, tuple(Finding(rule, count) for rule, count in counts.items()))


def _redact_once(text: str, counts: dict[str, int]) -> str:
    for rule in _rules_for(text):
        text = _mask(text, rule, counts)
    return text


def _rules_for(text: str) -> Iterable[_Rule]:
    """The rules whose anchor occurs in *text*, in the order of the tables, each pattern once."""
    found = {rule.pattern: rule for rule in _BLOCK_RULES if rule.anchor in text}
    if runs := _long_runs(text):
        found |= {rule.pattern: rule for rule in _RUN_RULES if rule.anchor in runs}
    found |= {rule.pattern: rule for rule in _TEXT_RULES if rule.anchor in text}
    return found.values()


def _long_runs(text: str) -> str:
    """The runs of at least `RUN_CHARS_MIN` token characters in *text*, in one string.

    A run of small letters only is left out: names and paths look like that, hardly one token in 10,000 does.
    """
    words = text.encode("ascii", "replace").translate(_SPACE_OUT).split()
    runs = [word for word in words if len(word) >= RUN_CHARS_MIN and word.translate(None, _SMALL_LETTERS)]
    return b" ".join(runs).decode("ascii")


def _mask(text: str, rule: _Rule, counts: dict[str, int]) -> str:
    pattern = re.compile(rule.pattern)
    group = pattern.groupindex.get("secret", 0)

    def replace(match: re.Match[str]) -> str:
        if rule.name not in _NEVER_PLACEHOLDER and re.search(_PLACEHOLDER, match[group]):
            return match[0]
        counts[rule.name] = counts.get(rule.name, 0) + 1
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        return f"{match[0][:start]}[redacted:{rule.name}]{match[0][end:]}"

    return pattern.sub(replace, text)


# What a token character is: all others, a space among them, end a run. The question mark is left out, because it also
# stands for every character that is not ASCII.
_SMALL_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz_-./:=+~%@"
_TOKEN_CHARS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + _SMALL_LETTERS
_SPACE_OUT: Final = bytes(code if code in _TOKEN_CHARS else ord(" ") for code in range(256))

# A stand-in is a row of one character, though not of A, _ or -: in base64 these are rows of equal bits, and keys have
# them. Whatever else has a token's form is masked, even where it says "example": a key made public costs more than a
# masked example.
_PLACEHOLDER: Final = r"([B-Za-z0-9*.])\1{7}"
_NEVER_PLACEHOLDER: Final = frozenset({"private-key", "url-password"})  # these have exceptions of their own


class _Rule(msgspec.Struct, frozen=True):
    """One anchor and what a secret that starts with it, or contains it, looks like.

    `pattern` masks its group `secret`, or all that it matches.
    """

    name: str
    anchor: str
    pattern: str


_END: Final = r"(?![A-Za-z0-9])"
_TAIL: Final = r"[A-Za-z0-9_-]*+"  # longer than the format says: masked to its end, no part of it may stay


def _token(name: str, anchors: str, body: str, end: str = _TAIL) -> list[_Rule]:
    """Rules for tokens that start with one of *anchors* (separated by spaces) and go on with at least *body*."""
    return [_Rule(name, anchor, _first(anchor.replace(".", r"\.")) + body + end) for anchor in anchors.split()]


def _exact(name: str, anchors: str, body: str) -> list[_Rule]:
    """As `_token`, and nothing longer: for prefixes so short that only the length tells."""
    return _token(name, anchors, body, _END)


def _first(start: str, *, no_other: str = "") -> str:
    r"""A pattern for *start* with no letter, no digit and none of *no_other* before it.

    A line end or a percent escape that is written out (\n, %3D) may be. We match first and look back then, because `re`
    is quick to find the next place where a pattern can start, unless it starts with a look back.
    """
    return rf"{start}(?:(?<![A-Za-z0-9{no_other}]{start})|(?<=\\[nrt]{start})|(?<=%[0-9A-Fa-f]{{2}}{start}))"


def _within(name: str, anchors: tuple[str, ...], pattern: str) -> list[_Rule]:
    """Rules for secrets that contain one of *anchors* and are described by *pattern* as a whole."""
    return [_Rule(name, anchor, pattern) for anchor in anchors]


_KEY_LINES: Final = (  # base64 lines, and the header lines that PEM and PGP put before them
    r"(?:(?:\s|\\[nrt]|[\\\"'+,|>*#]){1,16}"  # no possessive group here: Python 3.11.2 gets those wrong
    r"(?:[A-Z][A-Za-z-]{2,20}: [^\n\\]{1,120}+|[A-Za-z0-9+/=]{16,}+))+"
    r"(?:(?:\s?\n|(?:\\r)?\\n)[ \t>|]{0,8}+[A-Za-z0-9+/=]{1,63}+(?=[ \t]{0,8}(?:\r?\n|\\[nr]|[\"'`]|\Z)))?"
)

_BLOCK_RULES: Final[tuple[_Rule, ...]] = (
    # To its END line, or as far as it goes if it was cut off. The mere mention of a BEGIN line is no secret.
    *_within(
        "private-key",
        ("PRIVATE KEY",),
        r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
        r"(?=(?:[^-]|-(?!---)){0,400}?[A-Za-z0-9+/]{16})"
        r"(?:(?:[^-]|-(?!---)){16,16384}-{4,5} ?END [A-Z0-9 ]{0,60}-{4,5}|" + _KEY_LINES + ")",
    ),
    *_within(  # anything between the two lines that has a letter or digit, however short
        "private-key",
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
        r"(?P<secret>[ \t\r]{0,4}(?:\n|\\n)[^A-Za-z0-9-]{0,64}[A-Za-z0-9][^-]{0,16384}+)-----END",
    ),
    *_within("private-key", ("Private-Lines:",), r"Private-Lines: ?[0-9]{1,4}(?P<secret>" + _KEY_LINES + ")"),  # PuTTY
)

_RUN_RULES: Final[tuple[_Rule, ...]] = (
    *_token("age-secret-key", "AGE-SECRET-KEY-", r"(?:PQ-)?1[A-Z0-9]{50}"),
    *_token("airtable-token", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    *_token("anthropic-key", "sk-ant-", r"[A-Za-z0-9_-]{40}"),
    *_token("atlassian-token", "ATATT3 ATCTT3", r"[A-Za-z0-9_=-]{60,}+"),
    *_exact("aws-access-key", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16}"),
    *_within(
        "azure-client-secret",
        ("Q~",),
        _first("[A-Za-z0-9_~.-]", no_other="_~.-")
        + r"[A-Za-z0-9_~.-]{2}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])",
    ),
    *_within(
        "azure-sas",
        ("sig=",),
        _first("sig=") + r"(?P<secret>(?:[A-Za-z0-9+/]|%2[BbFf]){43}(?:=|%3[Dd]))",
    ),
    *_within(
        "azure-storage-key",
        ("AccountKey=", "SharedAccessKey="),
        r"(?:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,100}={0,2})",
    ),
    *_token("buildkite-token", "bkua_", r"[0-9a-f]{40}"),
    *_token("circleci-token", "CCIPAT_", r"[A-Za-z0-9_-]{40}"),
    *_token("cloudflare-token", "cfk_ cfut_ cfat_", r"[A-Za-z0-9]{40}"),
    *_token("cloudflare-token", "v1.0-", r"[0-9a-f]{24}-[0-9a-f]{140}"),  # origin CA key
    *_token("contentful-token", "CFPAT-", r"[A-Za-z0-9_-]{40}"),
    *_exact("crates-io-token", "cio", r"[A-Za-z0-9]{32}"),
    *_exact("databricks-token", "dapi", r"[0-9a-f]{32}(?:-[0-9]{1,2})?"),
    *_token("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{64}"),
    # The first part is a number in base64, which leaves few choices for its characters.
    *_within(
        "discord-bot-token",
        ("MD", "MT", "Mj", "Mz", "ND", "NT", "Nj", "Nz", "OD", "OT", "Oj", "Oz"),
        _first("[MNO][DTjz]", no_other="_-")
        + r"[AEIMQUYcgk][w-z0-5](?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){4}[A-Za-z0-9]{2,7}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}"
        + _TAIL,
    ),
    *_token(
        "discord-webhook",
        "discord.com/api/webhooks/ discordapp.com/api/webhooks/",
        r"[0-9]{16,20}/[A-Za-z0-9_-]{60}",
    ),
    *_token("docker-token", "dckr_pat_ dckr_oat_", r"[A-Za-z0-9_-]{24}"),
    *_token("doppler-token", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim.", r"(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40}"),
    *_token("dropbox-token", "sl.", r"(?:u\.)?[A-Za-z0-9_-]{120}"),
    *_token("facebook-token", "EAAC EAAG EAAJ EAAM", r"[A-Za-z0-9]{100}"),
    *_token("figma-token", "figd_ figo_", r"[A-Za-z0-9_-]{36}"),
    *_token("flyio-token", "fm1a_ fm1r_ fm2_", r"[A-Za-z0-9+/=]{80,}+"),
    *_token("flyio-token", "fo1_", r"[A-Za-z0-9_-]{43}"),
    *_token("github-token", "ghs_", r"(?:[A-Za-z0-9]{36}|[0-9]{1,12}_eyJ[A-Za-z0-9_.-]{40,}+)"),
    *_token("github-token", "ghp_ gho_ ghu_ ghr_", r"[A-Za-z0-9]{36}"),
    *_token("github-token", "github_pat_", r"[A-Za-z0-9_]{60}"),
    *_token(
        "gitlab-token",
        "glpat- gldt- glrt- glrtr- glcbt- glptt- glft- glimt- glagent- glsoat- gloas- glwt- glffct-",
        r"[A-Za-z0-9_-]{20,}+(?:(?:\.[0-9a-z]{2})?\.[0-9a-z]{9}(?![A-Za-z0-9]))?",
    ),
    *_token("google-api-key", "AIza", r"[A-Za-z0-9_-]{35}"),
    *_token("google-oauth-token", "ya29.", r"(?:[a-z]\.)?[A-Za-z0-9_-]{20}"),
    *_token("google-oauth-token", "1//0", r"[A-Za-z0-9_-]{38}"),  # refresh token
    *_token("google-client-secret", "GOCSPX-", r"[A-Za-z0-9_-]{24}"),
    *_token("grafana-token", "glsa_", r"[A-Za-z0-9]{32}_[0-9a-fA-F]{8}"),
    *_token("grafana-token", "glc_ eyJrIjoi", r"[A-Za-z0-9+/]{40,}+={0,2}"),
    *_token("groq-key", "gsk_", r"[A-Za-z0-9]{48}"),
    *_token("heroku-key", "HRKU-AA", r"[A-Za-z0-9_-]{40}"),
    *_token("huggingface-token", "hf_ api_org_", r"[A-Za-z0-9]{34}"),
    *_token("langsmith-key", "lsv2_pt_ lsv2_sk_", r"[0-9a-f]{32}"),
    *_token("linear-key", "lin_api_ lin_oauth_", r"[A-Za-z0-9]{40}"),
    *_exact("mailgun-key", "key-", r"(?<![_-]key-)[0-9a-f]{32}"),
    *_token("mapbox-token", "sk.eyJ", r"[A-Za-z0-9_-]{40,}+\.[A-Za-z0-9_-]{20}"),
    *_token("netlify-token", "nfp_ nfc_ nfo_", r"[A-Za-z0-9]{36}"),
    *_token("new-relic-key", "NRAK-", r"[A-Z0-9]{27}"),
    *_token("new-relic-key", "NRII- NRIQ- NRRA-", r"[A-Za-z0-9_-]{32}"),
    *_token("notion-token", "ntn_", r"[A-Za-z0-9]{40}"),
    *_exact("notion-token", "secret_", r"[A-Za-z0-9]{43}"),
    *_token("npm-token", "npm_", r"[A-Za-z0-9]{36}"),
    *_exact("nuget-key", "oy2", r"[a-z0-9]{43}"),
    *_token("nvidia-key", "nvapi-", r"[A-Za-z0-9_-]{60}"),
    *_token("onepassword-token", "ops_eyJ", r"[A-Za-z0-9+/=_-]{200,}+"),
    *_token("openai-key", "sk-proj- sk-svcacct- sk-admin- sk-None-", r"[A-Za-z0-9_-]{40}"),
    *_token("openai-key", "sk-", r"[A-Za-z0-9]{32}"),  # the old format, which DeepSeek and others took over
    *_token("openrouter-key", "sk-or-v1-", r"[0-9a-f]{64}"),
    *_token("perplexity-key", "pplx-", r"[A-Za-z0-9]{40}"),
    *_token("planetscale-token", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[A-Za-z0-9_.=-]{32,}+"),
    *_token("postman-key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    *_exact("pulumi-token", "pul-", r"[0-9a-f]{40}"),
    *_token("pypi-token", "pypi-AgE", r"[A-Za-z0-9_-]{50}"),
    *_token("replicate-token", "r8_", r"[A-Za-z0-9]{36}"),
    *_token("resend-key", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20}"),
    *_token("rubygems-key", "rubygems_", r"[0-9a-f]{48}"),
    *_token("sendgrid-key", "SG.", r"[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39}"),
    *_token("sentry-token", "sntrys_eyJ sntryu_", r"[A-Za-z0-9+/=_-]{40,}+"),
    *_token("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{32}"),
    *_token("slack-token", "xox", r"[abceoprs](?:-|\.xox[bp]-)[A-Za-z0-9-]{20}"),
    *_token("slack-token", "xoxd-", r"[A-Za-z0-9%+/=]{40,}+"),  # the cookie
    *_token("slack-token", "xapp-", r"[0-9]-[A-Za-z0-9-]{40}"),
    *_token("slack-webhook", "hooks.slack.com/", r"(?:services|workflows|triggers)/[A-Za-z0-9_/-]{30,}+"),
    *_token("square-token", "sq0atp- sq0csp-", r"[A-Za-z0-9_-]{22}"),
    *_token("square-token", "EAAA", r"(?<![+/]EAAA)[A-Za-z0-9_-]{56}"),
    *_token("stripe-key", "sk_live_ rk_live_ sk_test_ rk_test_", r"[A-Za-z0-9]{16}"),
    *_token("stripe-webhook-secret", "whsec_", r"[A-Za-z0-9+/=]{32,}+"),
    *_token("supabase-key", "sbp_", r"(?:v0_)?[0-9a-f]{40}"),
    *_token("supabase-key", "sb_secret_", r"[A-Za-z0-9_-]{20}"),
    *_token("tailscale-key", "tskey-", r"[a-z]{3,8}-[A-Za-z0-9]{8,32}-[A-Za-z0-9]{16}"),
    *_token("tavily-key", "tvly-", r"[A-Za-z0-9-]{28}"),
    *_token("teams-webhook", "webhook.office.com/webhookb2/", r"[A-Za-z0-9@/-]{60,}+"),
    *_within("telegram-bot-token", (":AA",), _first("[0-9]") + r"[0-9]{7,9}:AA[A-Za-z0-9_-]{33}" + _END),
    *_within(
        "terraform-token", (".atlasv1.",), _first("[A-Za-z0-9]") + r"[A-Za-z0-9]{13}\.atlasv1\.[A-Za-z0-9_=-]{60,}+"
    ),
    *_exact("twilio-key", "SK", r"[0-9a-f]{32}"),
    *_token("vault-token", "hvs. hvb. hvr.", r"[A-Za-z0-9_-]{24}"),
    *_token("xai-key", "xai-", r"[A-Za-z0-9]{70}"),
    *_within(
        "jwt",
        ("eyJ",),
        _first("eyJ", no_other="_-") + r"[A-Za-z0-9_-]{8,4096}+\.eyJ[A-Za-z0-9_-]{8,16384}+\.[A-Za-z0-9_-]{10,}+",
    ),
)

_TEXT_RULES: Final[tuple[_Rule, ...]] = (
    *_within(
        "aws-secret-key",
        ("ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey", "ession_token", "ESSION_TOKEN", "essionToken"),
        r"[sS](?i:ecret_?access_?key|ession_?token)[\"'\s:=>]{1,8}+(?P<secret>[A-Za-z0-9/+]{40,}+={0,2})",
    ),
    *_within(
        "wireguard-key",
        ("PrivateKey", "PresharedKey"),
        r"(?:PrivateKey|PresharedKey)[\"'\s:=]{1,8}+(?P<secret>[A-Za-z0-9+/]{43}=)",
    ),
    *_within(
        "authorization-header",
        ("uthorization", "UTHORIZATION"),
        r"[aA](?i:uthorization)[\"'\s:=(]{1,8}+(?i:basic)\s{1,3}"
        r"(?P<secret>(?=[A-Za-z+/]{0,80}(?:[0-9=]|(?<=[a-z])[A-Z]))[A-Za-z0-9+/]{8,}+={0,2})",
    ),
    *_within(
        "authorization-header",
        ("uthorization", "UTHORIZATION"),
        r"[aA](?i:uthorization)[\"'\s:=(]{1,8}+(?i:bearer|token|api-?key|bot|ssws)\s{1,3}"
        r"(?P<secret>(?=[A-Za-z._~+/=-]{0,80}[0-9])[A-Za-z0-9._~+/=-]{16,}+)",
    ),
    *_within(
        "authorization-header",
        ("earer ", "EARER "),
        r"[bB](?i:earer)\s{1,3}[\"']?"
        r"(?P<secret>(?=[A-Za-z_.~+=-]{0,80}[0-9][A-Za-z_.~+=-]{0,80}[0-9])[A-Za-z0-9_.~+=-]{20,}+[A-Za-z0-9_.~+/=-]*+)",
    ),
    *_within(
        "api-key-header",
        ("pi-key", "pi-Key", "PI-Key", "PI-KEY"),
        r"[xX](?i:-api-key)[\"'\s:=]{1,6}+(?P<secret>(?=[A-Za-z_.~+/=-]{0,80}[0-9])[A-Za-z0-9_.~+/=-]{16,}+)",
    ),
    # Only the password goes. Left alone: a variable, a word that says what belongs there, and the user name once more
    # (guest:guest), which is a default and no secret.
    *_within(
        "url-password",
        ("://",),
        r"://(?<=[A-Za-z0-9+.-]://)(?P<user>\[redacted:[a-z0-9-]{1,40}\]|[^\s/:@\[\]\"'<>`]{0,128}+):"
        r"(?!(?:(?P=user)|(?i:password|passwd|passwort|passphrase|pass|pw|pwd|secret|token|changeme|x{3,}|\*{2,}|\.{2,})"
        r"|\$[A-Z_][A-Z0-9_]{0,64}|\$\{[^}@]{1,64}\}|\$\([^)@]{1,64}\)|\{[^}@]{1,64}\}{1,2}|\[[^\]@]{1,64}\]|%s|%\([^)@]{1,64}\)s)@)"
        r"(?![0-9]{1,5}[,;)|])"
        r"(?P<secret>[!#-&(-.0-;=?-Z\[\]^_a-z{-~]{1,256})@(?=[A-Za-z0-9\[_${])",
    ),
)
