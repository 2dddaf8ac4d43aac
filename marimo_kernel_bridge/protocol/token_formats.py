"""Secrets that are known by their form: tokens of well-known services, private keys, passwords in addresses. Pure.

Texts come from kernels and may be hostile: every pattern takes time that grows linearly with the text. Before a pattern
is tried, a literal part of it is looked for, which takes a hundredth of the time; most texts have none.
"""

from __future__ import annotations

import bisect
import itertools
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Format = tuple[str, tuple[str, ...], "Callable[[str], str]"]
"""Name, literals of which one is in each text of this form, and the function that replaces those by marks."""


def mark(name: str) -> str:
    """Return the text that stands for a secret."""
    return f"<<redacted:{name}>>"


@dataclass(frozen=True)
class _Pattern:
    """Replaces what a pattern finds, except its group `keep`, if `accept` takes it for a secret."""

    name: str
    pattern: str
    accept: Callable[[str], bool] | None = None

    def __call__(self, text: str) -> str:
        return _compiled(self.pattern).sub(self._marked, text)

    def broken_in(self, text: str, breaks: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield where secrets are that begin in one line and end in a later one; `breaks` are the ends of the lines.

        What could end with a line goes on only in what is no word.
        """
        pattern = _compiled(self.pattern)
        for match in pattern.finditer(text):
            start, end = match.span()
            within = next((at for at in breaks if start < at < end), None)
            if within is None or not _is_no_word(match[0]):
                continue
            if self.accept is not None and not self.accept(match[0]):
                continue
            if (
                pattern.match(text, start, within) is None
                or _GOES_ON.fullmatch(text, within, end) is not None
            ):
                yield (match.end("keep") if "keep" in pattern.groupindex else start), end

    def is_in(self, text: str) -> bool:
        """Whether the pattern finds something, secret or not."""
        return _compiled(self.pattern).search(text) is not None

    def _marked(self, match: re.Match[str]) -> str:
        kept = match["keep"] if "keep" in match.re.groupindex else ""
        if self.accept is not None and not self.accept(match[0][len(kept) :]):
            return match[0]
        return kept + mark(self.name)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _prefixed(
    name: str, prefixes: str, letters: str, shortest: int, accept: Callable[[str], bool] | None = None
) -> Format:
    """Return the format of tokens that begin with one of the prefixes. One cut with an ellipsis may be shorter."""
    begins = tuple(prefixes.split())
    one = "|".join(map(re.escape, begins))
    pattern = rf"(?<![A-Za-z0-9])(?:{one})(?:{letters}{{{shortest},}}+|{letters}{{4,}}+(?=…))"
    return name, begins, _Pattern(name, pattern, accept)


def _found(name: str, parts: str, pattern: str, accept: Callable[[str], bool] | None = None) -> Format:
    return name, tuple(parts.split("|")), _Pattern(name, pattern, accept)


def _has_digits(text: str) -> bool:
    """Whether a text has two digits: the classes of scikit-learn's pages begin with sk-, too."""
    return sum(map(str.isdecimal, text)) > 1


def _mixed(text: str) -> bool:
    """Whether a text has digits, small and capital letters, as hardly any name has."""
    return _has_digits(text) and any(map(str.islower, text)) and any(map(str.isupper, text))


def _random(text: str) -> bool:
    """Whether a text has a part that nobody would write: a UUID, or 16 letters and digits in a row, some of each."""
    parts = _RUN.findall(text)
    return any(sum(map(str.isdecimal, part)) > 2 < sum(map(str.isalpha, part)) for part in parts)  # noqa: PLR2004


_GOES_ON: Final = re.compile(
    r"(?=[^0-9]*+[0-9][^0-9]*+[0-9])(?=[^A-Za-z]*+[A-Za-z][^A-Za-z]*+[A-Za-z])[A-Za-z0-9+/]{4,}+={0,2}+"
)


def _is_no_word(text: str) -> bool:
    """Whether a text is none that the words of two lines could make."""
    return _has_digits(text) or (any(map(str.islower, text)) and sum(map(str.isupper, text)) > 2)  # noqa: PLR2004


def _letters_and_digits(text: str) -> bool:
    return any(map(str.isdecimal, text)) and any(map(str.isalpha, text))


def _no_word(text: str) -> bool:
    return not text.isalpha() or len(text) >= 16  # noqa: PLR2004  # longer than most words


_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RUN: Final = re.compile(rf"[A-Za-z0-9]{{16,}}|{_UUID}")
_QUOTE: Final = r"\\{0,3}+(?:[\"']|&(?:amp;){0,2}(?:quot|apos|#(?:34|39|x27));)"
"""A quotation mark, also within a text of Python, of JSON or of HTML."""
_BREAK: Final = r"(?:\s|\\{1,3}[nr]){1,8}+"
_ALNUM, _NAME, _HEX = "[A-Za-z0-9]", r"[A-Za-z0-9_-]", "[a-f0-9]"

_SERVICES: Final = (
    ("AWS access key", "AKIA ASIA", "[0-9A-Z]", 16),
    ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", _ALNUM, 36),
    ("GitHub token", "github_pat_", "[A-Za-z0-9_]", 40),
    (
        "GitLab token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glffct- glsoat- glimt- glagent- GR1348941",
        _NAME,
        20,
    ),
    ("Hugging Face token", "hf_", _ALNUM, 30),
    ("Slack token", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-", "[A-Za-z0-9-]", 10),
    ("Slack token", "xoxd-", "[A-Za-z0-9%+/=_-]", 40),
    ("OpenAI session", "sess-", _ALNUM, 40),
    ("Hugging Face token", "api_org_", _ALNUM, 30),
    ("AWS key", "ABSKQmVkcm9ja0FQSUtleS bedrock-api-key-", "[A-Za-z0-9+/=]", 20),
    ("Google API key", "AIza", _NAME, 35),
    ("Google token", "GOCSPX- ya29.", _NAME, 20),
    ("Stripe key", "sk_live_ sk_test_ rk_live_ rk_test_ sk_org_live_ sk_org_test_", _ALNUM, 20),
    ("webhook secret", "whsec_", "[A-Za-z0-9+/=]", 20),
    ("PyPI token", "pypi-", _NAME, 50),
    ("npm token", "npm_", _ALNUM, 36),
    ("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_ dot_v1_", _HEX, 64),
    ("Databricks token", "dapi", _HEX, 32),
    ("Groq key", "gsk_", _ALNUM, 40),
    ("age key", "AGE-SECRET-KEY-", "[A-Z0-9-]", 50),
    ("Docker token", "dckr_pat_ dckr_oat_", _NAME, 20),
    ("Grafana token", "glsa_ glc_", "[A-Za-z0-9_+/=]", 30),
    ("Sentry token", "sntrys_ sntryu_", "[A-Za-z0-9_+/=]", 30),
    ("New Relic key", "NRAK-", "[A-Z0-9]", 27),
    ("Vault token", "hvs. hvb. hvr.", _NAME, 24),
    ("Shopify token", "shpat_ shpss_ shpca_ shppa_", "[A-Fa-f0-9]", 32),
    ("Linear key", "lin_api_", _ALNUM, 30),
    ("Notion token", "ntn_", _ALNUM, 40),
    ("Figma token", "figd_", _NAME, 30),
    ("Postman key", "PMAK-", "[A-Za-z0-9-]", 40),
    ("Pulumi token", "pul-", _HEX, 40),
    ("Supabase key", "sbp_ sb_secret_", _NAME, 20),
    ("PlanetScale token", "pscale_tkn_ pscale_pw_ pscale_oauth_", _NAME, 32),
    ("Replicate token", "r8_", _ALNUM, 37),
    ("Perplexity key", "pplx-", _ALNUM, 40),
    ("xAI key", "xai-", _ALNUM, 60),
    ("NVIDIA key", "nvapi-", _NAME, 50),
    ("LangSmith key", "lsv2_pt_ lsv2_sk_", "[A-Za-z0-9_]", 32),
    ("Tailscale key", "tskey-auth- tskey-api- tskey-client-", "[A-Za-z0-9-]", 20),
    ("Doppler token", "dp.pt. dp.st. dp.ct.", "[A-Za-z0-9._-]", 30),
    ("Atlassian token", "ATATT3x ATCTT3x ATBB", "[A-Za-z0-9_=-]", 28),
    ("RubyGems key", "rubygems_", _HEX, 48),
    ("Dynatrace token", "dt0c01. dt0s01.", "[A-Z0-9.]", 60),
    ("Mapbox token", "sk.eyJ", "[A-Za-z0-9._-]", 30),
    ("Pinecone key", "pcsk_", "[A-Za-z0-9_]", 30),
    ("Netlify token", "nfp_", _ALNUM, 36),
    ("Fly token", "fm1r_ fm1a_ fm2_ fo1_", "[A-Za-z0-9+/=_-]", 30),
    ("Heroku key", "HRKU-", _NAME, 40),
    ("Prefect key", "pnu_ pnb_", _ALNUM, 36),
    ("Weights & Biases key", "wandb_v1_", "[A-Za-z0-9_]", 40),
    ("Tavily key", "tvly-", "[A-Za-z0-9-]", 20, _has_digits),
    ("Together key", "tgp_v1_", _NAME, 30),
    ("Fireworks key", "fw_", _ALNUM, 22, _mixed),
    ("ElevenLabs key", "sk_", _HEX, 48),
    ("Contentful token", "CFPAT-", _NAME, 40),
    ("Frame.io token", "fio-u-", _NAME, 60),
    ("Sonar token", "sqp_ squ_ sqa_", _HEX, 40),
    ("Sourcegraph token", "sgp_", "[A-Fa-f0-9_]", 40),
    ("Shippo token", "shippo_live_ shippo_test_", _HEX, 40),
    ("Typeform token", "tfp_", _NAME, 40, _has_digits),
    ("Clojars token", "CLOJARS_", _HEX, 60),
    ("crates.io token", "cio", _ALNUM, 32, _mixed),
    ("CircleCI token", "CCIPAT_ CCIPRJ_", "[A-Za-z0-9_]", 40),
    ("Buildkite token", "bkua_", _HEX, 40),
    ("1Password token", "ops_eyJ", "[A-Za-z0-9+/=_-]", 100),
    ("Square token", "sq0csp- sq0atp-", _NAME, 22),
    ("Notion token", "secret_", _ALNUM, 43),
    ("Jina key", "jina_", _ALNUM, 40),
    ("Voyage key", "pa-", _NAME, 40, _mixed),
    ("E2B key", "e2b_", _HEX, 40),
    ("Modal token", "ak- as-", _ALNUM, 22, _mixed),
    ("Cursor key", "key_", _HEX, 64),
    ("Neon key", "napi_", "[a-z0-9]", 60),
    ("Resend key", "re_", "[A-Za-z0-9_]", 30, _mixed),
    ("PostHog key", "phx_", _ALNUM, 40),
    ("Firecrawl key", "fc-", _HEX, 32),
    ("Vercel token", "vercel_blob_rw_", "[A-Za-z0-9_]", 30),
    ("Infisical token", "st.", "[a-f0-9.]", 56),
    ("Facebook token", "EAACEdEose0cBA", _ALNUM, 20),
)


def _after(names: str) -> str:
    """Return a pattern for the end of one of the names. Behind a literal, it takes no time elsewhere."""
    return "(?:" + "|".join(f"(?<=(?i:{name}))" for name in names.split()) + ")"


_HEADERS: Final = _after(
    "api-key access-key auth-key functions-key master-key subscription-key x-key "
    "access-token api-token auth-token deploy-token job-token private-token security-token vault-token x-token"
)
_FIELDS: Final = _after("access_token refresh_token id_token auth_token session_token client_secret")

_NAMED: Final = "|".join(
    f"(?<={word}_)KEY"
    for word in "API ACCESS ACCOUNT AUTH ENCRYPTION FERNET MASTER PRIVATE SECRET SERVICE SIGNING STORAGE".split()  # noqa: SIM905
)

_OTHERS: Final = (
    _prefixed("API key", "sk-", _NAME, 20, _has_digits),
    _found(
        "JSON web token",
        "eyJ",
        r"(?<![\w-])eyJ[\w-]{10,}+\.(?:eyJ[\w-]{10,}+(?:\.(?:[\w-]{10,}+|(?=…))|(?=…))|(?=…)|[\w-]{4,}+(?=…))",
    ),
    _found(  # PEM in base64, as in kubeconfig: the beginnings of "-----BEGIN PRIVATE", "RSA PRIVATE" and others
        "private key",
        "LS0tLS1CRUdJTi",
        r"LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVkFURS|BFQyBQUklWQVRF|BPUEVOU1NIIFBSSVZBVEUg|BFTkNSWVBURUQgUFJJVkFURS)"
        r"[A-Za-z0-9+/=]{40,}+",
    ),
    _found("JSON web token", "eyJ", r"(?<![\w-])eyJ[\w-]{10,}+\.[\w-]*+(?:\.[\w-]{10,}+){3}"),
    _found("Azure secret", "Q~", r"(?<![\w~.-])[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,40}"),
    _found("Azure DevOps token", "AZDO", r"(?<![A-Za-z0-9])[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?![A-Za-z0-9])"),
    _found("Google token", "1//0", r"(?<![\w/:.-])1//0[\w-]{40,}+", _has_digits),
    _found("Cloudflare key", "v1.0-", r"(?<![\w.])v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}+"),
    _found(
        "Asana token", "1/1|2/1", r"(?<![\w/])[12]/[0-9]{12,19}(?:/[0-9]{12,19})?:[0-9a-f]{32}(?![0-9a-f])"
    ),
    _found("HubSpot token", "pat-", rf"(?<![\w-])pat-[a-z]{{2}}[0-9]-{_UUID}(?![\w-])"),
    _found("LaunchDarkly key", "api-|sdk-|mob-", rf"(?<![\w-])(?:api|sdk|mob)-{_UUID}(?![\w-])"),
    _found(
        "1Password key",
        "A3-",
        r"(?<![\w-])A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}(?![\w-])",
    ),
    _found(
        "key",
        "PrivateKey|PresharedKey",
        rf"(?P<keep>(?:PrivateKey|PresharedKey)(?:{_QUOTE})?\s{{0,2}}+[=:]\s{{0,2}}+(?:{_QUOTE})?)[A-Za-z0-9+/]{{43}}=",
    ),
    _found(
        "password",
        "_auth|_password",
        rf"(?P<keep>(?<![A-Za-z0-9_.])_(?:authToken|auth|password)\s{{0,2}}+=\s{{0,2}}+(?:{_QUOTE})?)[A-Za-z0-9+/_-]{{16,}}+=*+(?![(\[{{$.])",
        _has_digits,
    ),
    _found(
        "password",
        "auth",
        rf"(?P<keep>{_QUOTE}auth{_QUOTE}\s{{0,2}}+:\s{{0,2}}+{_QUOTE})[A-Za-z0-9+/]{{16,}}+={{0,2}}+(?=\\{{0,3}}[\"']|&)",
        _has_digits,
    ),
    _found(
        "password",
        "username",
        rf"(?P<keep>(?<!\w)\[[\w.:/-]{{1,60}}\]{_BREAK}(?:repository\s{{0,2}}[=:]\s{{0,2}}[^\s\\]{{1,200}}{_BREAK})?"
        rf"username\s{{0,2}}+=\s{{0,2}}+[^\s\\]{{1,100}}{_BREAK}password\s{{0,2}}+=\s{{0,2}}+)[^\s'\"()\[\]{{}}$\\]{{4,}}+(?![(\[])",
    ),
    _found(
        "token",
        "_KEY|_TOKEN|_SECRET|_PASSW",
        rf"(?P<keep>(?:{_NAMED}|(?<=_)(?:TOKEN|SECRET|PASSWORD|PASSWD))(?:{_QUOTE})?\s{{0,2}}+[=:]\s{{0,2}}+(?:{_QUOTE})?)"
        r"[A-Za-z0-9_+/=.~-]{16,}+(?![(\[{$])",
        _random,
    ),
    _found(
        "password",
        "assword|asswd|ASSWORD|ASSWD",
        rf"(?P<keep>(?i:password|passwd)(?:{_QUOTE})?\s{{0,2}}+[:=]\s{{0,2}}+{_QUOTE})"
        rf"[^\s\"'\\&<>{{}}$()\[\]%]{{8,100}}+(?={_QUOTE})",
        _letters_and_digits,
    ),
    _found("Okta token", "SSWS ", r"(?P<keep>(?<!\w)SSWS )00[\w-]{30,}+"),
    _found("Vault token", "s.", r"(?<![\w.])s\.[A-Za-z0-9]{24}(?![\w.(\[])", _mixed),
    _found(
        "key",
        "username",
        rf"(?P<keep>{_QUOTE}username{_QUOTE}\s{{0,2}}+:\s{{0,2}}+{_QUOTE}[\w.@-]{{1,100}}+{_QUOTE}\s{{0,4}}+,\s{{0,8}}+"
        rf"{_QUOTE}key{_QUOTE}\s{{0,2}}+:\s{{0,2}}+{_QUOTE})[0-9a-f]{{32}}(?![0-9a-f])",
    ),
    _found(  # of Django and Flask: with signs of all kinds
        "key",
        "SECRET_KEY",
        rf"(?P<keep>SECRET_KEY(?:{_QUOTE}\]?)?\s{{0,2}}+[=:]\s{{0,2}}+{_QUOTE})[^\s\"'\\<>&]{{24,100}}+(?={_QUOTE})",
        _letters_and_digits,
    ),
    _found(
        "password",
        "_PASSW|PGPASSWORD|MYSQL_PWD",
        r"(?P<keep>(?:(?<=_)PASSWORD|(?<=_)PASSWD|PGPASSWORD|MYSQL_PWD)=)[A-Za-z0-9_+/@!#%^*~-]{8,100}+(?![(\[{$.\w])",
        _letters_and_digits,
    ),
    _found(
        "password",
        "assword: |asswd: ",
        r"(?P<keep>(?:^|(?<=[\n{-])|(?<=\\n)) {0,20}+[\w.-]{0,30}?(?:password|passwd): )[A-Za-z0-9_+/@!%^*~=-]{8,100}+(?= {0,2}+(?:\n|\\n|\\r|\r|$))",
        _letters_and_digits,
    ),
    _found(
        "password",
        "sshpass |mysql ",
        r"(?P<keep>(?<![\w-])(?:sshpass -p ?[\"']?|mysql [^\n]{0,100}?(?<= )-p))[^\s\"'$-][^\s\"'$]{3,100}+",
    ),
    _found(
        "password",
        "--password|--token|--api-key",
        r"(?P<keep>(?<![\w-])--(?:password|token|api-key)[ =][\"']?)[A-Za-z0-9_+/@!%^*~=-]{8,200}+(?![(\[{$.])",
        _letters_and_digits,
    ),
    _found("Twilio key", "SK", r"SK(?<![A-Za-z0-9]SK)[0-9a-f]{32}(?![A-Za-z0-9])"),
    _found("Airtable token", "pat", r"pat(?<![A-Za-z0-9]pat)[A-Za-z0-9]{14}\.[0-9a-f]{64}(?![A-Za-z0-9])"),
    _found("Terraform token", ".atlasv1.", r"(?P<keep>\.atlasv1\.)[\w=-]{30,}+"),
    _found("Square token", "EAAA", r"EAAA(?<![\w+/=-]EAAA)[\w-]{60}(?![\w+/=-])"),
    _found(
        "Discord token",
        "M|N|O",
        r"[MNO](?<![\w.+/=-].)[\w-]{23,27}\.[\w-]{6}\.[\w-]{27,38}(?![\w.-])",
        _has_digits,
    ),
    _found("SendGrid key", "SG.", r"(?<![A-Za-z0-9])SG\.[\w-]{16,}+\.[\w-]{16,}+"),
    _found("Telegram token", ":AA", r"(?<![\w.])[0-9]{8,10}+:AA[\w-]{32,34}+(?![\w-])"),
    _found("Mailgun key", "key-", r"(?<![\w-])key-[0-9a-f]{32}(?![\w-])"),
    _found("Mailchimp key", "-us", r"(?<![\w-])[0-9a-f]{32}-us[0-9]{1,2}(?![\w-])"),
    _found(
        "webhook",
        "hooks.slack.com/|/api/webhooks/",
        r"(?P<keep>hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/)[\w/-]{20,}+",
    ),
    _found("bearer token", "earer ", r"(?P<keep>(?<![A-Za-z])[Bb]earer )[A-Za-z0-9._~+/=-]{16,}+", _no_word),
    _found(
        "password",
        "uthorization|UTHORIZATION",
        rf"(?P<keep>(?i:authorization)(?:{_QUOTE})?\s{{0,4}}+[:=]\s{{0,4}}+(?:{_QUOTE})?(?i:basic|token|digest|apikey)\s)"
        r"[A-Za-z0-9._~+/=-]{8,}+",
    ),
    _found(
        "token",
        "-key|-Key|-KEY|-token|-Token|-TOKEN",
        rf"(?P<keep>-(?i:key|token){_HEADERS}(?:{_QUOTE})?\s{{0,4}}+[:=,]\s{{0,4}}+(?:{_QUOTE})?)[A-Za-z0-9._~+/=-]{{8,}}+(?![(\[{{$])",
        _has_digits,
    ),
    _found(
        "cookie",
        "ookie:|OOKIE:|ookie\":|ookie':",
        r"(?P<keep>(?i:cookie)[\"']?:\s{0,4}+[\"']?[\w.-]{1,60}+=)[^\s'\"<>\\,;(){}$]{8,}+"
        r"(?:; ?[\w.-]{1,60}+=[^\s'\"<>\\;]*+)*+",
        _no_word,
    ),
    _found(
        "token",
        "_token|_secret",
        rf"(?P<keep>_(?:token|secret){_FIELDS}(?:{_QUOTE})?\s{{0,2}}+[:=]\s{{0,2}}+(?:{_QUOTE})?)[A-Za-z0-9._~+/-]{{16,}}+=*+(?![(\[{{$])",
        _has_digits,
    ),
    _found(
        "password",
        "curl ",
        r"(?P<keep>(?<![\w-])curl [^\n]{0,200}?(?<=\s)(?:-u|--user)[ =]?[\"']?[^\s:'\"$]{1,100}+:)[^\s'\"$]{3,}+",
    ),
    _found(
        "token",
        "token=|key=|secret=|sig=|signature=|Signature=|password=|passwd=|auth=|Key=|Token=",
        r"(?P<keep>(?:[?&]|&(?:amp;){1,3}|\\u0026)[\w.-]{0,30}?(?:[Tt]oken|secret|passw(?:or)?d|[Kk]ey|[Ss]ignature|sig|auth)=)"
        r"[^\s&;#'\"<>\\,()\[\]{}$]{8,}+(?![(\[{$])",
        _no_word,
    ),
    _found(
        "password",
        "assword=|wd=|ASSWORD=|WD=",
        r"(?P<keep>;[ ]?(?i:password|pwd)=)[^;\s'\"<>{}$]{4,}+",
    ),
    _found(
        "password",
        "password=",
        r"(?P<keep>(?:user|dbname|host|port|sslmode)=[^\s'\",()]{1,100}+ {1,4}+password=)"
        rf"(?:{_QUOTE}[^'\"\n\\&]{{4,200}}+{_QUOTE}|[^\s'\",(){{}}$]{{4,}}+)",
    ),
    _found(
        "password",
        "machine ",
        r"(?P<keep>machine\s{1,8}+\S{1,100}+\s{1,8}+login\s{1,8}+\S{1,100}+\s{1,8}+password\s{1,8}+)\S{4,}+",
    ),
    _found("Azure key", "AccountKey=|AccessKey=", r"(?P<keep>(?:Account|Access)Key=)[A-Za-z0-9+/=]{20,}+"),
    _found(
        "AWS secret key",
        "ecret_access_key|ECRET_ACCESS_KEY|ecretAccessKey",
        r"(?P<keep>(?i:secret_?access_?key)(?:&[a-z]{2,4};|&#[0-9x]{2,4};|[^A-Za-z0-9/+]){1,6}+)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    _found(
        "AWS session token",
        "ession_token|ESSION_TOKEN|essionToken",
        r"(?P<keep>(?i:session_?token)(?:&[a-z]{2,4};|&#[0-9x]{2,4};|[^A-Za-z0-9/+]){1,6}+)[A-Za-z0-9/+=]{80,}+",
    ),
    _found(
        "private key",
        "Private-Lines: ",
        r"(?P<keep>Private-Lines: [0-9]{1,3}+)[A-Za-z0-9+/=\s\\]{16,}+",
    ),
)

_KEY_LINE: Final = re.compile(r"-{4}(?:-| )(BEGIN|END) [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?(?:-| )-{4}")
_BASE64: Final = re.compile("[A-Za-z0-9+/]{16}")
_NO_QUOTES: Final = re.compile(r"[A-Za-z0-9+/=\s\\:,.()<>\0-]*+")


def _without_private_keys(text: str) -> str:
    """Replace private keys between their lines BEGIN and END, and what is there of one whose END is missing."""
    parts: list[str] = []
    copied, begin = 0, None
    for line in [*_KEY_LINE.finditer(text), None]:
        if begin is not None:
            end = len(text) if line is None else line.start()
            if line is not None and line[1] == "END":
                body, over = text[begin.end() : end], line.end()
                is_key = _BASE64.search(body) or _NO_QUOTES.fullmatch(body)
            else:
                run = _NO_QUOTES.match(text, begin.end(), end)
                over = end if run is None else run.end()
                is_key = _BASE64.search(text, begin.end(), over)
            if is_key:
                parts += (text[copied : begin.start()], mark("private key"))
                copied = over
        begin = line if line is not None and line[1] == "BEGIN" else None
    return "".join([*parts, text[copied:]])


_ADDRESS: Final = re.compile(r"(?<=://)[^\s'\"<>`\\]++")
_PORT: Final = re.compile(r"[0-9]{1,5}(?:[/?#,)\]]|$)")
_PLACEHOLDER: Final = re.compile(r"\{.*\}|\$.*|%.*|\*+|\.+|…")
_LONG_NAME: Final = re.compile(r"[A-Za-z0-9_-]{20,200}+")
_LONGEST: Final = 1000


def _without_credentials(text: str) -> str:
    return _ADDRESS.sub(_addresses, text) if "@" in text else text


def _addresses(match: re.Match[str]) -> str:
    """Return what follows a ://, in which more addresses may follow."""
    found = match[0]
    return "://".join(map(_address, found.split("://"))) if "@" in found else found


def _address(rest: str) -> str:
    """Return an address after its ://, with a mark for the user and password, or for a token in their place."""
    at = rest.rfind("@", 0, min(_LONGEST, rest.find("?") if "?" in rest else len(rest)))
    at = rest.rfind("@", 0, _LONGEST) if at < 0 else at
    user, colon, password = rest[: max(at, 0)].partition(":")
    if at < 0 or rest.startswith("sha256:", at + 1) or not set(user).isdisjoint("/@?#"):
        return rest
    if not colon:
        return mark("token") + rest[at:] if _LONG_NAME.fullmatch(user) else rest
    if not password or _PORT.match(password) or _PLACEHOLDER.fullmatch(password):
        return rest
    return mark("password") + rest[at:]


FORMATS: Final[tuple[Format, ...]] = (
    ("private key", ("PRIVATE KEY",), _without_private_keys),
    ("password", ("://",), _without_credentials),
    *(_prefixed(*service) for service in _SERVICES),
    *_OTHERS,
)


def _finder(parts: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of the literals, by their last letter: one pass in place of one for each."""
    by_length: dict[int, list[str]] = {}
    for part in parts:
        by_length.setdefault(len(part), []).append(re.escape(part))
    last = "".join(sorted({re.escape(part[-1]) for part in parts}))
    behind = (f"(?<={'|'.join(same)})" for same in by_length.values())
    return re.compile(f"[{last}](?:{'|'.join(behind)})")


_SHORT: Final = 3
_RARE_ENDS: Final = frozenset("_-.=")
_SINGLY: Final = tuple(form for form in FORMATS if not all(part[-1] in _RARE_ENDS for part in form[1]))
_TOGETHER: Final = tuple(form for form in FORMATS if form not in _SINGLY)


def _by_literal(formats: Iterable[Format]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the literals, each with the places of its formats in the list."""
    places: dict[str, list[int]] = {}
    for form in formats:
        for part in form[1]:
            places.setdefault(part, []).append(FORMATS.index(form))
    return tuple((part, tuple(numbers)) for part, numbers in places.items())


_LITERALS: Final = _by_literal(FORMATS)
_LITERALS_SINGLY: Final = _by_literal(_SINGLY)
_ANY: Final = _finder([part for form in _TOGETHER for part in form[1]])


def likely(text: str) -> list[Format]:
    """Return the formats that may occur in a text, in their order; of texts together, line breaks separate them.

    Either all of which a literal is there, or none: where a mark replaces one token, the next may be known only then.
    """
    found = with_literals(text)
    return found if any(_may_be_in(form, text) for form in found) else []


def with_literals(text: str) -> list[Format]:
    """Return the formats of which a literal is in a text, in their order."""
    literals = _LITERALS if _ANY.search(text) else _LITERALS_SINGLY
    found = {number for literal, numbers in literals if literal in text for number in numbers}
    return [FORMATS[number] for number in sorted(found)]


def _may_be_in(form: Format, text: str) -> bool:
    """Whether a text that has a literal of a format may have the format: one of up to three letters is in most texts."""
    _, parts, hide = form
    return len(min(parts, key=len)) > _SHORT or not isinstance(hide, _Pattern) or hide.is_in(text)


_WRAPPED: Final = re.compile(r"(?<=[A-Za-z0-9_.+/=~%-])\r?\n(?=[A-Za-z0-9_.+/=~%-])")
_REST: Final = re.compile(r"[A-Za-z0-9_.+/=~%-]{1,400}+")
_LONG_PARTS: Final = tuple(
    part for form in _SINGLY if isinstance(form[2], _Pattern) for part in form[1] if len(part) > _SHORT
)
_MOST_LINES: Final = 20
_BEFORE: Final = 400


def without_broken_tokens(text: str, formats: Iterable[Format]) -> str:
    """Return a text with marks in place of secrets with a line break within them, as a terminal wraps them.

    They go on at the begin of the next line; and on the one after that, if both lines are of one length.
    """
    tried = [
        (parts, hide)
        for _, parts, hide in formats
        if isinstance(hide, _Pattern)
        and hide.name != "private key"  # which has line breaks anyway
        and len(min(parts, key=len)) >= _SHORT
    ]
    found: list[tuple[int, int, str]] = []
    for joined, pieces in _wrapped_lines(text) if tried else ():
        ends = list(itertools.accumulate(len(piece) for _, piece in pieces))
        for parts, hide in tried:
            if _any_in(parts, joined):
                for start, end in hide.broken_in(joined, ends[:-1]):
                    found.append((_place(start, pieces, ends), _place(end - 1, pieces, ends) + 1, hide.name))
    done: list[str] = []
    copied = 0
    for start, end, name in sorted(found):
        if start >= copied:
            done += (text[copied:start], mark(name))
            copied = end
    return "".join([*done, text[copied:]])


def _wrapped_lines(text: str) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Yield lines that may have a broken token in them, as one, and each with its place."""
    seen = 0
    for found in _WRAPPED.finditer(text):
        if found.start() >= seen:
            pieces = _continued(text, found, seen)
            seen = pieces[-1][0] + len(pieces[-1][1])
            joined = "".join(piece for _, piece in pieces)
            if _ANY.search(joined) is not None or _any_in(_LONG_PARTS, joined):
                yield joined, pieces


def _place(at: int, pieces: Sequence[tuple[int, str]], ends: Sequence[int]) -> int:
    """Return where in the text a letter of the joined pieces is."""
    number = bisect.bisect_right(ends, at)
    place, piece = pieces[number]
    return place + at - (ends[number] - len(piece))


def _continued(text: str, line_break: re.Match[str], after: int) -> list[tuple[int, str]]:
    """Return the end of a line, from `after` on, and what the next lines begin with, as long as each is as long as the one before.

    Each with its place.
    """
    end = line_break.start()
    begin = text.rfind("\n", 0, end) + 1
    length = end - begin
    line = max(begin, end - _BEFORE, min(after, end))
    pieces = [(line, text[line:end])]
    step: re.Match[str] | None = line_break
    while step is not None and len(pieces) <= _MOST_LINES:
        rest = _REST.match(text, step.end())
        if rest is None:
            break
        pieces.append((rest.start(), rest[0]))
        step = _WRAPPED.match(text, rest.end()) if len(rest[0]) == length else None
    return pieces


def _any_in(parts: tuple[str, ...], text: str) -> bool:
    for part in parts:  # noqa: SIM110  # a generator takes three times as long
        if part in text:
            return True
    return False


def without_tokens(text: str, formats: Iterable[Format]) -> str:
    """Return a text with marks in place of secrets in some of the formats."""
    for _, parts, hide in formats:
        if _any_in(parts, text):
            text = hide(text)
    return text
