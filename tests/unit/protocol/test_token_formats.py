"""Which texts are secrets by their form, and which ordinary values are left alone."""

import base64
import html
import json

import pytest

from marimo_kernel_bridge.protocol.inspection import Secret
from marimo_kernel_bridge.protocol.redaction import Redactor
from marimo_kernel_bridge.protocol.token_formats import FORMATS, likely, with_literals

L = "aZ3b" * 30
"""Letters and digits, as tokens have them."""
H = "0a9f" * 20
U = "QX7P" * 20
BODY = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 3)
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----"

FORMS = [
    ("AKIAIOSFODNN7EXAMPLE", "AKIA"),
    ("ASIAIOSFODNN7EXAMPLE", "ASIA"),
    (f"AWS_SECRET_ACCESS_KEY={L[:40]}", L[:12]),
    (f"aws_secret_access_key = {L[:40]}", L[:12]),
    (json.dumps({"SecretAccessKey": L[:40]}), L[:12]),
    (json.dumps({"SessionToken": L}), L[:12]),
    *((f"{kind}_{L[:36]}", L[:12]) for kind in ("ghp", "gho", "ghu", "ghs", "ghr")),
    (f"github_pat_{L[:82]}", L[:12]),
    (f"glpat-{L[:20]}", L[:12]),
    (f"gldt-{L[:20]}", L[:12]),
    (f"sk-{L[:48]}", L[:12]),
    (f"sk-proj-{L[:40]}_{L[:40]}-x", L[:12]),
    (f"sk-ant-api03-{L[:93]}", L[:12]),
    (f"sk-or-v1-{H[:64]}", H[:12]),
    (f"hf_{L[:34]}", L[:12]),
    (f"xoxb-123456789012-{L[:24]}", L[:12]),
    (f"xapp-1-A0123-{L[:30]}", L[:12]),
    (f"https://hooks.slack.com/services/T000/B000/{L[:24]}", L[:12]),
    (f"https://discord.com/api/webhooks/123456789/{L[:60]}", L[:12]),
    (f"AIza{L[:35]}", L[:12]),
    (f"GOCSPX-{L[:28]}", L[:12]),
    (f"ya29.{L[:60]}", L[:12]),
    (f"sk_live_{L[:24]}", L[:12]),
    (f"rk_test_{L[:24]}", L[:12]),
    (f"whsec_{L[:32]}", L[:12]),
    (f"pypi-AgEI{L[:60]}", L[:12]),
    (f"npm_{L[:36]}", L[:12]),
    (f"dop_v1_{H[:64]}", H[:12]),
    (f"dapi{H[:32]}", H[:12]),
    (f"gsk_{L[:52]}", L[:12]),
    (f"AGE-SECRET-KEY-1{U[:58]}", U[:12]),
    (f"dckr_pat_{L[:27]}", L[:12]),
    (f"glsa_{L[:32]}_{H[:8]}", L[:12]),
    (f"NRAK-{U[:27]}", U[:12]),
    (f"hvs.{L[:90]}", L[:12]),
    (f"shpat_{H[:32]}", H[:12]),
    (f"lin_api_{L[:40]}", L[:12]),
    (f"nvapi-{L[:64]}", L[:12]),
    (f"lsv2_pt_{H[:32]}_{H[:10]}", H[:12]),
    (f"tskey-auth-{L[:16]}-{L[:32]}", L[:12]),
    (f"ATATT3x{L[:180]}", L[:12]),
    (f"SG.{L[:22]}.{L[:43]}", L[:12]),
    (f"key-{H[:32]}", H[:12]),
    (f"{H[:32]}-us21", H[:12]),
    (f"123456789:AA{L[:33]}", L[:12]),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw", "eyJzdWIi"),
    (f"Authorization: Bearer {L[:40]}", L[:12]),
    ("Authorization: Basic YWRhOnNlY3JldA==", "YWRhOnNl"),
    (json.dumps({"Authorization": f"token {H[:40]}"}), H[:12]),
    (repr({"authorization": f"Basic {L[:24]}"}), L[:12]),
    (f"https://api.example.org/v1?user=ada&token={L[:20]}&page=2", L[:12]),
    (f"https://example.org/?a=1&amp;api_key={L[:20]}", L[:12]),
    (f"https://x.blob.core.windows.net/c?sv=2022&sig={L[:30]}%3D", L[:12]),
    (f"AccountName=x;AccountKey={L[:86]}==;", L[:12]),
    (f"Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey={L[:43]}=", L[:12]),
    ("Server=db;User Id=sa;Password=hush-hush;", "hush"),
    ("host=db user=ada password=hush-hush dbname=x", "hush"),
    ("machine example.org login ada password hush-hush", "hush"),
    ("postgresql://ada:secret@host/db", "secret"),
    ("redis://:hush-hush@host:6379/0", "hush"),
    ("postgresql://ada:hu/sh@hush@host/db?x=1", "sh@hush"),
    (f"https://{L[:30]}@github.com/x/y.git", L[:12]),
    (f"X-Api-Key: {L[:20]}", L[:12]),
    (repr({"x-api-key": L[:20]}), L[:12]),
    (f"DD-API-KEY: {H[:32]}", H[:12]),
    (f"x-goog-api-key={L[:20]}", L[:12]),
    (f"PRIVATE-TOKEN: {L[:20]}", L[:12]),
    (json.dumps({"Private-Token": L[:20]}), L[:12]),
    (f"Cookie: sessionid={L[:32]}", L[:12]),
    (f"cookie: theme={H[:8]}; sessionid={L[:32]}; x=1", L[:12]),
    (f"Set-Cookie: sid={L[:32]}; Path=/; HttpOnly", L[:12]),
    (f"sk.eyJ1Ijoi{L[:60]}.{L[:22]}", L[:12]),
    (f"SK{H[:32]}", H[:12]),
    (f"pcsk_{L[:6]}_{L[:60]}", L[:12]),
    (f"nfp_{L[:36]}", L[:12]),
    (f"FlyV1 fm2_{L[:80]}", L[:12]),
    (f"pat{L[:14]}.{H[:64]}", H[:12]),
    (f"{L[:14]}.atlasv1.{L[:67]}", f".atlasv1.{L[:12]}"),
    (f"sq0csp-{L[:43]}", L[:12]),
    (f"EAAA{L[:60]}", L[:12]),
    (f"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.{L[:27]}", L[:12]),
    (f"secret_{L[:43]}", L[:12]),
    ("curl -u ada:hush-hush https://example.org", "hush"),
    (f"!curl -s --user 'ada:{L[:20]}' https://example.org", L[:12]),
    (f"access_token={L[:20]}", L[:12]),
    (f"#access_token={L[:20]}&x=1", L[:12]),
    (json.dumps({"access_token": L[:40], "expires_in": 3600}), L[:12]),
    (f"client_secret = '{L[:40]}'", L[:12]),
    (PEM, "MIIEvQ"),
    (repr(PEM), "MIIEvQ"),
    (json.dumps({"key": PEM}), "MIIEvQ"),
    (json.dumps(PEM.splitlines(keepends=True)), "MIIEvQ"),
    (PEM[:150], "MIIEvQ"),
    (PEM.replace("RSA ", "OPENSSH "), "MIIEvQ"),
    (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{BODY}\n-----END PGP PRIVATE KEY BLOCK-----", "MIIEvQ"),
    (f"PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 3\n{BODY}\nPrivate-MAC: 0", "MIIEvQ"),
    (f"\x1b[32msk-ant-\x1b[0m{L[:40]}", L[:12]),
    (f"'ghp_{L[:12]}…'", L[:12]),
]  # fmt: skip

B = base64.b64encode(bytes(range(200, 256)) + bytes(range(50))).decode()
"""Base64, as of keys of Azure and AWS."""
I = f"{H[:8]}-{H[:4]}-{H[:4]}-{H[:4]}-{H[:12]}"  # noqa: E741  # an id
PEM_IN_BASE64 = base64.b64encode(PEM.encode()).decode()

NEWER = [
    (f"github_pat_11ABCDEFG0{L[:12]}_{L[:59]}", L[:12]),
    (f"glpat-{L[:27]}.01.{L[:9]}", L[:12]),
    (f"glcbt-64_{L[:20]}", L[:12]),
    (f"GR1348941{L[:20]}", L[:12]),
    (f"xapp-1-A01234567-1234567890123-{H[:64]}", H[:12]),
    (f"xoxe.xoxp-1-{L[:60]}", L[:12]),
    (f"xoxd-{L[:60]}%2B{L[:9]}", L[:12]),
    (f"sk-svcacct-{L[:60]}", L[:12]),
    (f"sk-ant-oat01-{L[:93]}", L[:12]),
    (f"sess-{L[:40]}", L[:12]),
    (f"api_org_{L[:34]}", L[:12]),
    (f"<SecretAccessKey>{L[:40]}</SecretAccessKey><SessionToken>{B * 2}</SessionToken>", L[:12]),
    (f"ABSKQmVkcm9ja0FQSUtleS{L[:110]}", L[:12]),
    (f"sv=2024-11-04&sp=r&sig={L[:30]}%3D", L[:12]),
    (f"abc8Q~{L[:34]}", L[:12]),
    (f"{L[:76]}AZDO{L[:4]}", L[:12]),
    (f"AccountEndpoint=https://a.documents.azure.com/;AccountKey={B[:86]}==;", B[:12]),
    (json.dumps({"client_secret": f"d-{L[:22]}", "refresh_token": f"1//0{L[:60]}"}), L[:12]),
    (html.escape(json.dumps({"refresh_token": L[:60]})), L[:12]),
    (f"1//0g{L[:60]}", L[:12]),
    (f"eyJhbGciOiJSU0EtT0FFUCJ9.{L[:60]}.{L[:16]}.{L[:60]}.{L[:22]}", L[:12]),
    (f"//registry.npmjs.org/:_authToken={I}", I[:18]),
    (f"_auth={B[:40]}", B[:12]),
    ("[pypi]\nusername = ada\npassword = hush-hush-9", "hush"),
    (f"rk_live_51{L[:90]}", L[:12]),
    (f"sk_org_live_{L[:30]}", L[:12]),
    (f"TWILIO_AUTH_TOKEN={H[:32]}", H[:12]),
    (f"export DD_API_KEY='{H[:32]}'", H[:12]),
    (json.dumps({"CODECOV_TOKEN": I}), I[:18]),
    ("mongodb+srv://ada:hush-hush@c.mongodb.net/?retryWrites=true", "hush"),
    ("host=db user=ada password='hush hush' dbname=x", "hush"),
    (f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{BODY}\n-----END RSA PRIVATE KEY-----", "MIIEvQ"),
    (f'---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "x"\n{BODY}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----', "MIIEvQ"),
    (f"client-key-data: {PEM_IN_BASE64}", PEM_IN_BASE64[60:80]),
    (f"AGE-SECRET-KEY-PQ-1{U[:60]}", U[:12]),
    (f"PrivateKey = {B[:43]}=", B[:12]),
    (json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": B[:40]}}}), B[:12]),
    (f"v1.0-{H[:24]}-{H[:72]}{H[:74]}", H[:12]),
    (f"HRKU-AA{L[:58]}", L[:12]),
    (f"pscale_oauth_{L[:40]}", L[:12]),
    (f"pnu_{L[:36]}", L[:12]),
    (f"wandb_v1_{L[:60]}", L[:12]),
    (f"tvly-dev-{L[:32]}", L[:12]),
    (f"tgp_v1_{L[:43]}", L[:12]),
    (f"fw_{L[:22]}", L[:12]),
    (f"sk_{H[:48]}", H[:12]),
    (f"1/1200000000000000:{H[:32]}", H[:12]),
    (f"CFPAT-{L[:43]}", L[:12]),
    (f"fio-u-{L[:64]}", L[:12]),
    (f"pat-na1-{I}", I[:18]),
    (f"sdk-{I}", I[:18]),
    (f"sqp_{H[:40]}", H[:12]),
    (f"sgp_{H[:16]}_{H[:40]}", H[:12]),
    (f"shippo_live_{H[:40]}", H[:12]),
    (f"tfp_{L[:59]}", L[:12]),
    (f"CLOJARS_{H[:60]}", H[:12]),
    (f"cio{L[:32]}", L[:12]),
    (f"CCIPAT_{L[:22]}_{H[:40]}", L[:12]),
    (f"bkua_{H[:40]}", H[:12]),
    (f"ops_eyJ{L[:110]}", L[:12]),
    ("A3-ASWWYB-798JRY-LJVD4-23DC2-86TVM-H43EB", "LJVD4-23DC2"),
    ('DB_PASSWORD="hush-hush-9"', "hush"),
    (repr({"password": "hush-hush-99!"}), "hush"),
    (json.dumps({"a": json.dumps({"password": "hush-hush-99!"})}), "hush"),
]  # fmt: skip

LATER = [
    (f"jina_{L[:60]}", L[:12]),
    (f"e2b_{H[:40]}", H[:12]),
    (f"ak-{L[:22]}", L[:12]),
    (f"key_{H[:64]}", H[:12]),
    (f"napi_{H[:64]}", H[:12]),
    (f"re_{L[:8]}_{L[:24]}", L[:8]),
    (f"phx_{L[:43]}", L[:12]),
    (f"fc-{H[:32]}", H[:12]),
    (f"pa-{L[:43]}", L[:12]),
    (f"vercel_blob_rw_{L[:16]}_{L[:30]}", L[:12]),
    (f"st.{H[:24]}.{H[:32]}", H[:12]),
    (f"s.{L[:24]}", L[:12]),
    (f"Authorization: SSWS 00{L[:40]}", L[:12]),
    (json.dumps({"username": "ada", "key": H[:32]}), H[:12]),
    ("SECRET_KEY = 'django-insecure-uyl=Q3yL_Pg#V(neQGHJ3^5577'", "Q3yL_Pg#V"),
    ("app.config['SECRET_KEY'] = 'uylQ3yLPgVneQGHJ35577abc'", "Q3yLPgV"),
    (f"FERNET_KEY={L[:43]}=", L[:12]),
    ("DB_PASSWORD=hush1234", "hush"),
    ("export PGPASSWORD=hush1234", "hush"),
    ("sshpass -p 'hush-1234' ssh ada@example.org", "hush"),
    ("mysql -u root -phush-1234 db", "hush"),
    ("login --password=hush-1234 --user ada", "hush"),
    (f"deploy --token {L[:20]}", L[:12]),
]  # fmt: skip
LATER_ORDINARY = [
    "pre_processing_of_the_first_and_the_second_table_2024, task-as-abc, weak-ak-1, re_compile_all_of_the_patterns_2024_now",
    "monkey_0a9f fc-bold key_of_the_first_table st.session_state.rows_2024 s.lower().strip_all_the_whitespace_2024()",
    "export DB_PASSWORD=$SECRET DB_PASSWORD=os.environ['DB_PASSWORD_1'] PASSWORD=getpass1() MYSQL_PWD=${PWD1}",
    "password: str = Field(min_length=8)\npassword: SecretStr2024 = None\nuser: ada\npassword: {{ vault1 }}",
    "SECRET_KEY = env('SECRET_KEY_2024'); SECRET_KEY: str; app.config['SECRET_KEY'] = get_key_2024()",
    "mysql -u root -p db; run --token $TOKEN1 --password-file a1.txt --api-key=${KEY_2024}; sshpass -p $PASS1 ssh a",
    "{'username': 'ada', 'key': 'value', 'keys': 3}",
]

ORDINARY = [
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "commit 3a08b1126c1f4f0e9d3b7c5a1e2f3d4c5b6a7980",
    "123e4567-e89b-12d3-a456-426614174000",
    f"data:image/png;base64,{base64.b64encode(bytes(range(256)) * 8).decode()}",
    base64.b64encode(b"\x89PNG" + bytes(range(255, 0, -1)) * 4).decode(),
    "31415926535897932384626433832795028841971693993751",
    "1700000000000000000:1700000000000000001",
    "2026-11-28T19:38:50.123456+00:00",
    "token = tokenizer.decode(ids, skip_special_tokens=True)",
    "tokenization of tokens; the [CLS] token comes first",
    "password = getpass.getpass('password: ')",
    "connect(host='db', user='ada', password=os.environ['DB_PASSWORD'])",
    "engine = create_engine(f'postgresql://{user}:{password}@{host}/db')",
    "export DATABASE_URL=postgresql://$USER:$PASSWORD@localhost/db",
    "postgresql://ada:***@host/db",
    "http://localhost:8888/lab/tree/a@b.ipynb",
    "https://registry.example.org:4873/@scope/package",
    "docker://busybox:latest@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
    "git@github.com:ada/notebooks.git ssh://git@github.com:22/ada/notebooks.git",
    "ada.lovelace@example.org, charles@example.org",
    '<div class="sk-toggleable__content-arrow-fitted sk-top-container sk-estimator-doc-link">',
    "df.groupby('key-value-store_of_names').agg(sk_learn_model_name='first')",
    "the bearer of authentication headers; Basic Internationalization",
    "if '-----BEGIN PRIVATE KEY-----' in text: start = True",
    "begin, end = '-----BEGIN PRIVATE KEY-----', '-----END PRIVATE KEY-----'",
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQ\n-----END CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1n7d6b3c1x7q2Y8 ada@host",
    "https://example.org/search?q=token&key=&sort_key=date&auth=required",
    "eyJ is how base64 of a JSON object begins, hf_hub_download and npm_config_registry are names",
    "SG.reflect('a.b') task-scheduler desk-lamp-with-many-words-in-it-1 AKIA AIza xoxo ghp_",
    "/usr/lib/python3.11/site-packages/token_bucket/secret_manager_key-store.py",
    "x = 1; token=get_current_token_of_stream(parser)",
    "headers = {'x-api-key': os.environ['KEY_2024'], 'Private-Token': settings.private_token}",
    "headers = {'x-api-key': get_key_12345678(name), 'X-Request-Id': '123e4567-e89b-12d3'}",
    "Set-Cookie: theme=dark; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
    "document.cookie = cookies.get('session'); cookie: Cookie = jar[0]",
    "access_token = client.get_access_token_v2_00(scope); id_token=tokens['id_token_2024_01']",
    "curl -u $USER:$TOKEN https://example.org; curl --upload-file a:b -k https://example.org:8080",
    "SKU12345 SKlearn patterns path.0a9f pathological.patches EAAA M.N.O Monday.Tuesday.Wednesday",
    "secret_manager_client_of_the_cloud pcsk_ nfp_ fm2_ sq0csp- terraform.atlasv1.x",
    "MyLongModuleNameOfTwentySix.method.and_a_long_attribute_name_of_it",
    "EAAA" + base64.b64encode(bytes(range(256)) * 2).decode(),
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "0x7f8b1c2d3e4f5061728394a5b6c7d8e9f0a1b2c3",
]


NEWER_ORDINARY = [
    "3b18e512dba79e4c8300dd08aeb37f8e728b8dad 9fceb02",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "doi:10.1038/s41586-020-2649-2 https://doi.org/10.1145/3377811.3380362 ISBN 978-3-16-148410-0",
    "numpy==2.1.3 v25.3.0rc1+local.abc v1.0-beta-of-the-release",
    "#ff00aa #FFAABBCC rgb(12, 34, 56)",
    "1234567890123456789012345678901234567890 6.02214076e23 0b1010101010101010",
    "package.subpackage.module_name.ClassName.method_name sklearn.linear_model._logistic.LogisticRegression",
    "192.168.0.1:5432 fe80::1ff:fe23:4567:890a%eth0",
    "https://example.org/a/b?page=2&sort_key=name&token_type=bearer&key=1",
    "s3://bucket-name/path/to/key.parquet arn:aws:s3:::my-bucket/key ami-0abcdef1234567890",
    "sha512-" + base64.b64encode(bytes(range(64))).decode(),
    "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
    "+49 170 1234567 DE89370400440532013000 4111 1111 1111 1111",
    "pk_live_51H8abcDEFghiJKLmnoPQRstu",
    "api_key: str | None = None",
    "def token(self) -> str: return self._token",
    "task-force-1234567890-abcdef-ghijkl desk-1",
    "hf_hub_download(repo_id='gpt2', filename='config.json')",
    "password: string; the user's password",
    "password = input('Password: ')",
    "os.environ['OPENAI_API_KEY']; API_KEY = os.environ['KEY_2024_OF_THE_SERVICE']",
    "${{ secrets.GITHUB_TOKEN }} export TOKEN=$(cat token_2024_01_of_mine.txt)",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "-----BEGIN PGP SIGNATURE-----\niQEzBAABCAAdFiEE\n-----END PGP SIGNATURE-----",
    base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" + BODY.encode()).decode(),
    "secret_santa_list_of_the_department_2026",
    "{'Authorization': f'Bearer {token}'}",
    "headers={'X-API-Key': api_key}; {'password': '***'}; {'password': 'changeme'}",
    "s.lower().strip().replace_all_the_things fw_version_1_2_3_beta_of_firmware",
    "sk_params = {'a': 1}; cio = CIOModule(); socioeconomicfactorsofthecountry2020",
    "pat-a-cake key-1 glob_pattern_of_files ops_team_of_the_company api-0123-docs",
    "api_organization_name_of_the_customer_list",
    "PrivateKey = load_private_key(path)",
    "1/1200000000000000 2/3 {'auth': 'none'}",
    "MAX_TOKEN=4096 PAD_TOKEN='<pad>' PRIMARY_KEY=customer_identifier_2024_v1",
    "SECRET_KEY = get_secret_key_v2_2024_01(name); MY_TOKEN = tokens['a_2024_01_02_03']",
    "self._password = password_of_the_user_2024; _auth=auth_of_2024_01_02(x)",
    "server: Optional[str]\nusername: Optional[str]\npassword: Optional[str]",
    "[section] username = ada, and the password is asked for",
    "<input type='password' name='password' id='password-field-1'>",
]


def test_the_tables_are_as_long_as_they_are_promised() -> None:
    assert len(FORMS) >= 60
    assert len(NEWER) >= 40
    assert len(ORDINARY) >= 30
    assert len(NEWER_ORDINARY) >= 40


@pytest.mark.parametrize(
    ("text", "part"), [*FORMS, *NEWER, *LATER], ids=[text[:24] for text, _ in [*FORMS, *NEWER, *LATER]]
)
def test_a_secret_is_known_by_its_form(text: str, part: str) -> None:
    assert part in text.replace("\x1b[0m", "")
    hidden = Redactor().text(f"before {text} after")
    assert part not in hidden
    assert hidden.startswith("before ")
    assert "<<redacted:" in hidden
    assert Redactor().text(hidden) == hidden
    assert part not in json.dumps(Redactor().data({"a": [text], text: 1}))


@pytest.mark.parametrize("text", [*ORDINARY, *NEWER_ORDINARY, *LATER_ORDINARY])
def test_an_ordinary_value_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text
    assert Redactor().data({"a": [text], text: 1}) == {"a": [text], text: 1}


def test_the_rest_of_an_address_and_of_a_header_stays() -> None:
    shown = Redactor().text(
        f"postgresql://ada:secret@host/db?token={L[:20]}&x=1 Authorization: Basic YWRhOnNl"
    )
    assert shown == (
        "postgresql://<<redacted:password>>@host/db?token=<<redacted:token>>&x=1 Authorization: Basic <<redacted:password>>"
    )


def test_a_key_in_a_list_of_lines_is_hidden_line_by_line() -> None:
    lines = ["first\n", *PEM.splitlines(keepends=True), "last"]
    assert Redactor().data({"text": lines}) == {"text": ["first\n", "<<redacted:private key>>", "last"]}


def test_pictures_are_not_read_as_text() -> None:
    bundle = {"image/png": f"AKIA{U[:16]}", "image/svg+xml": f"<text>AKIA{U[:16]}</text>"}
    shown = Redactor().data(bundle)
    assert shown == {
        "image/png": f"AKIA{U[:16]}",
        "image/svg+xml": "<text><<redacted:AWS access key>></text>",
    }


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form[0])
def test_looking_first_for_a_literal_finds_each_format(form: tuple[str, tuple[str, ...], object]) -> None:
    for part in form[1]:
        assert form in with_literals(f"some text {part} more text")


def test_ordinary_text_with_a_few_letters_of_a_token_has_no_likely_format() -> None:
    assert likely("None of 3 Nodes: SKU, path, task-1, hf_hub, eyJ") == []


@pytest.mark.parametrize(("text", "part"), [*FORMS, *NEWER, *LATER])
def test_a_token_is_known_between_other_texts_of_an_answer(text: str, part: str) -> None:
    around = Redactor().data({"N": ["abc.", text], "cells": [{"code": "x-", "error": text, "of": "-x"}]})
    assert part not in json.dumps(around)


def test_a_token_directly_behind_a_secret_is_known() -> None:
    key = f"sk-{L[:48]}"
    redactor = Redactor([Secret("A", "hunter2-hunter2-hunter2")])
    assert redactor.text(f"hunter2-hunter2-hunter2{key}") == "<<redacted:A>><<redacted:API key>>"
    assert redactor.data([f"AKIAIOSFODNN7EXAMPLE{key}"]) == [
        "<<redacted:AWS access key>><<redacted:API key>>"
    ]


@pytest.mark.parametrize(
    ("text", "part"), [*FORMS, *NEWER, *LATER], ids=[text[:24] for text, _ in [*FORMS, *NEWER, *LATER]]
)
def test_a_secret_is_known_by_its_form_in_other_texts(text: str, part: str) -> None:
    """As Python, JSON and HTML write it, and an address, where nothing of it is escaped."""
    for written in (repr(text), json.dumps({"k": text}), html.escape(text), f"\x1b[1m{text}\x1b[0m"):
        if part in written and "\\x1b" not in written and "\\u" not in written:
            assert part not in Redactor().text(written), written


BROKEN = [
    f"ghp_{L[:36]}",
    f"AKIA{U[:16]}",
    f"glpat-{L[:20]}",
    f"AIza{L[:35]}",
    f"npm_{L[:36]}",
    f"dop_v1_{H[:64]}",
    f"SECRET_TOKEN={L[:40]}",
]


@pytest.mark.parametrize("token", BROKEN)
def test_a_token_is_known_where_a_line_break_is_within_it(token: str) -> None:
    for at in range(token.index("=") + 3 if "=" in token else 8, len(token) - 4, 5):
        for ends in ("\n", "\r\n"):
            hidden = Redactor().text(f"out: {token[:at]}{ends}{token[at:]}\nover\nand done")
            assert token[at - 2 : at] + ends not in hidden
            assert token[at:] not in hidden
            assert hidden.endswith("over\nand done")


def test_a_token_that_a_narrow_terminal_wraps_is_known() -> None:
    text = f"a\nghp_{L[:36]}"
    wrapped = "\n".join([text[:2], *(text[at : at + 16] for at in range(2, len(text), 16))])
    assert Redactor().text(f"{wrapped}\nb") == "a\n\n<<redacted:GitHub token>>\nb"


def test_lists_of_words_are_no_broken_tokens() -> None:
    for text in (
        "sk-learn\nnumpy-2-and-3\npandas-2-0-3\nscipy_1_2_3_of_2024",
        "hf_hub\ndownload_of_all_the_models_of_the_year",
        "AKIA\nOSLO\nBERGEN\nTRONDHEIM\nSTAVANGER",
        "npm_config\nregistry_of_the_packages_of_the_company",
        f"glpat-\n\n{L[:20]}",
    ):
        assert Redactor().text(text) == text
    for after in ("over", "HOST=x", "PORT=8080", "x86_64", "1234", "npm2"):
        whole = Redactor().text(f"ghp_{L[:36]}\n{after}\nb")
        assert whole == f"<<redacted:GitHub token>>\n{after}\nb"
