"""Texts for the tests of masking: harmless ones, and ones that hold what has to be masked.

Keys are made from shapes when the tests run: a literal one would be found by the leak scan.
"""

import random
import string
from typing import Final

HARMLESS: Final = (
    "The release of 2024-03-15 took 12 minutes and 30 seconds.",
    "Version 1.24.3 came out on 03/15/2024, version 2.0.0-rc.1 a week later.",
    "On 15.03.2024 we moved 1,250,000 rows in 3.5 hours.",
    "Logged at 2024-03-15T10:22:31.123456Z by worker 17.",
    "Between 2019-2023 the team grew from 4 to 19 people.",
    "The years 2015 - 2020 were quiet.",
    "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904 is the empty tree",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "uuid 550e8400-e29b-41d4-a716-446655440000 identifies the run",
    "The server listens on 192.168.10.114:8080 and 10.0.0.1.",
    "Ping 8.8.8.8 or 127.0.0.1 to see whether the network is up.",
    "An address such as 2001:0db8:85a3:0000:0000:8a2e:0370:7334 has eight groups.",
    "git clone git@github.com:owner/project.git",
    "pip install 'git+ssh://git@github.com/owner/project.git@v1.2.3'",
    "uses: actions/checkout@v4.2.2",
    "npm install react@18.2.0 typescript@5.4.0-beta.rc",
    "docker pull python@sha256:" + "0123456789abcdef" * 4,
    "@app.get('/items/{item_id}')\nasync def read(item_id: int): ...",
    "@pytest.mark.parametrize('x', [1, 2, 3])",
    "result = weights@inputs.mean(axis=0)",
    "y = W@x + b",
    "Follow @someone on the platform, or ask @team-data.",
    "max_tokens = 512 and temperature = 0.2",
    "completion_tokens: 1200, prompt_tokens: 34000",
    "token: str | None = None",
    "def login(user: str, password: str) -> Session:",
    'password = getpass.getpass("Password: ")',
    "api_key = os.environ['OPENAI_API_KEY']",
    "api_key=settings.model.api_key",
    "export OPENAI_API_KEY=<your key>",
    "export HF_TOKEN=your-token-here",
    "OPENAI_API_KEY=${OPENAI_API_KEY}",
    "password: ${{ secrets.REGISTRY_PASSWORD }}",
    "secret: true",
    "The password is stored as a hash and never in the clear.",
    "A token is a piece of a word; a secret is a value that nobody else may know.",
    "Keep the key under the doormat; the token is on the table.",
    "The key is understanding the problem before writing code.",
    "Tokenization: how a tokenizer splits text into tokens.",
    "class TokenBucket:\n    def take(self, tokens: int = 1) -> bool: ...",
    "for key, value in sorted(items): print(key, value)",
    "primary key: id, foreign key: user_id",
    "KeyError: 'title' was raised in the reader",
    "if token == 'END': break",
    "bearer of bad news",
    "basic understanding of distributed systems",
    "The basic idea: authenticate once, then pass a short-lived session.",
    "Our budget is $1,250,000.00, or 1.150.000,00 euros.",
    "Pi is 3.14159265358979 and e is 2.718281828459045.",
    "The population was 7 800 000 000 in 2020.",
    "Planck's constant is 6.62607015e-34.",
    "ISBN 978-3-16-148410-0 is on the cover.",
    "ISBN-10: 0-306-40615-2",
    "RFC 7231 and RFC 2119 say so; see also PEP 484.",
    "Issue #1234567 was closed by #7654321.",
    "Job 1234567890 took 987654321 nanoseconds.",
    "timestamp 1710498151 is a second after 1710498150",
    "Chapter 3, pages 120-145, table 4.2.",
    "Loss: 0.6931 0.5123 0.4456 0.3987 after 4 epochs",
    "[0.123, 0.456, 0.789, 0.012, 0.345]",
    "1 2 3 4 5 6 7 8 9 10 11 12",
    "0 1 1 2 3 5 8 13 21 34 55 89 144",
    "| 2021 | 2022 | 2023 |\n|---|---|---|\n| 100 | 200 | 300 |",
    "resolution 1920x1080 at 60 Hz, 3840x2160 at 30 Hz",
    "chmod 0755 run.sh && kill -9 12345",
    "SELECT id FROM users WHERE created_at > '2023-01-01 00:00:00'",
    "http://localhost:6333/collections/docs/points/1234567890",
    "https://example.com/2024/03/15/how-we-ship?page=12",
    "https://example.com/posts/1234567890-a-title",
    "See https://en.wikipedia.org/wiki/Transformer_(deep_learning).",
    "postgres://localhost:5432/app",
    "redis://cache:6379/0",
    "https://user:password@host.example/simple and https://${USER}:${PASSWORD}@host.example",
    "51 Franklin Street, Fifth Floor, Boston, MA 02110-1301, USA.",
    "s3://bucket/key/2024/03/15/part-00001.parquet",
    "The port is 5432, the timeout 30000 ms, the limit 1048576 bytes.",
    "Total: 45 000 km in 18 months.",
    "EUR 12 500,00 in 2 rates",
    "Room 101, 4th floor, 221B Baker Street, London NW1 6XE",
    "10115 Berlin, 75001 Paris, 94103 San Francisco",
    "Coordinates 52.520008, 13.404954",
    "Order 2024-000123 shipped in 3-5 days.",
    "Build 20240315.1 is newer than 20240314.12.",
    "20240315103045-add-index.sql runs before 20240316090000-drop.sql",
    "The scores were 21-19, 18-21 and 21-15.",
    "Set LLM_TWIN_HOME to a folder that can be written.",
    "Press Ctrl+C or Cmd+Shift+P.",
    "temperature 36.6, pulse 72, pressure 120/80",
    "I meet the team at 10:30 and at 16:45.",
    "at the corner [at last] and dot the i",
    "Meet me at example dot com the conference? No, at the station.",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCARygAwIBAgIBADANBg\n-----END CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl laptop",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "The acronym ASIA and the word AKIA are short.",
    "account skeleton, accessory, skirt, actor and sketch",
    "sk-learn is how some write scikit-learn",
    "hf_hub_download fetches a file; ghp is a prefix.",
    "risk-averse teams; task-oriented work; disk-bound jobs",
    "The secret of good documentation: write less.",
    "Password reset links expire after 15 minutes.",
    "password: required, at least 12 characters",
    "credentials: include",
    "import secrets\nvalue = secrets.token_hex(16)",
    "jwt.decode(token, key, algorithms=['HS256'])",
    "curl -H 'Authorization: Bearer $TOKEN' https://example.com",
    "Authorization: Bearer <token>",
    "x = {'api_key': None, 'secret': False}",
    "Über die Brücke: größer, schöner, weiter. 你好,世界",
    "ResNet-50, GPT-4, Llama-3-8B-Instruct, all-MiniLM-L6-v2",
    "cost: 0.0000025 per token, 128000 tokens of context",
    "lr=3e-4, batch=128, steps=10000, seed=1234567",
    "MD5 d41d8cd98f00b204e9800998ecf8427e of nothing",
    'etag: W/"5d8c72a5edda8d6a3239d7a9"',
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "/usr/lib/python3.11/site-packages/pkg-1.2.3.dist-info/METADATA",
    "lines 1200-1350 of file_20240101_123456.log",
    "5 of 7, 12/31, 50 %, 3rd, #7, v2, 1st quarter of 2024/25",
)

ADDRESSES: Final = (
    "ada@example.com", "ada.lovelace@example.co.uk", "a@b.io", "ada+news@example.org",
    "ada_l@sub.domain.example.net", "ADA@EXAMPLE.COM", "o'neil@example.ie", "x-y@my-host.dev",
    "müller@example.de", "ada@münchen.example", "1234@numbers.example", "info@example.museum",
    "first.last@university.edu", "no-reply@service.example.com", "a%b@example.com",
)  # fmt: skip
ADDRESS_FRAMES: Final = (
    "Write to {} for the slides.",
    "<{}>",
    '{{"author": "{}", "id": 3}}',
    "[mail](mailto:{})",
    "Contact: {}.",
)

NUMBERS: Final = (
    "+1 650 253 0000", "+1-555-123-4567", "(555) 123-4567", "555-867-5309", "650.253.0000",
    "+44 20 7946 0958", "+442079460958", "+44 (0)20 7946 0958", "020 7946 0958", "07911 123456",
    "+49 30 901820", "+49-151-23456789", "030 901820-0", "0151 23456789", "+33 1 42 68 53 00",
    "06 12 34 56 78", "01.42.68.53.00", "+39 06 6982 1234", "+34 912 345 678", "+31 20 570 5678",
    "+46 8 123 456 78", "+41 44 668 18 00", "+43 1 58858 0", "+48 22 123 45 67", "+7 495 123-45-67",
    "+81 3-1234-5678", "+86 10 1234 5678", "+91 98765 43210", "+61 2 9374 4000",
    "+55 11 91234-5678", "0049 30 901820", "1-800-555-0199",
)  # fmt: skip
NUMBER_FRAMES: Final = ("Call {} after six.", "Phone: {}", "[{0}](tel:{0})")
CUED_NUMBERS: Final = (
    "phone 6502530000",
    "Tel. 5550199",
    "mobile: 0791234567",
    "call me on 5551234",
)

_ALNUM: Final = string.ascii_letters + string.digits
_HEX: Final = "0123456789abcdef"
SHAPES: Final[tuple[tuple[str, int, str, str], ...]] = (
    ("sk-ant-api03-", 95, _ALNUM + "-_", ""),
    ("sk-ant-admin01-", 80, _ALNUM, ""),
    ("sk-proj-", 120, _ALNUM + "-_", ""),
    ("sk-", 48, _ALNUM, ""),
    ("sk-svcacct-", 60, _ALNUM, ""),
    ("sk-or-v1-", 64, _HEX, ""),
    ("hf_", 34, _ALNUM, ""),
    ("ZENKEY_eyJ", 60, _ALNUM, "="),
    ("ZENPROKEY_", 48, _ALNUM, ""),
    ("ghp_", 36, _ALNUM, ""),
    ("gho_", 36, _ALNUM, ""),
    ("github_pat_", 82, _ALNUM + "_", ""),
    ("glpat-", 20, _ALNUM, ""),
    ("AKIA", 16, string.ascii_uppercase + string.digits, ""),
    ("ASIA", 16, string.ascii_uppercase + string.digits, ""),
    ("AIza", 35, _ALNUM, ""),
    ("xoxb-123456789012-", 24, _ALNUM, ""),
    ("SG." + "a1" * 11 + ".", 43, _ALNUM, ""),
    ("npm_", 36, _ALNUM, ""),
    ("pypi-AgEIcHlwaS5vcmc", 80, _ALNUM, ""),
    ("dckr_pat_", 27, _ALNUM, ""),
    ("sk_" + "live_", 24, _ALNUM, ""),
    ("rk_" + "test_", 24, _ALNUM, ""),
    ("hvs.", 30, _ALNUM, ""),
    ("gsk_", 52, _ALNUM, ""),
    ("r8_", 37, _ALNUM, ""),
    ("lsv2_pt_", 44, _HEX, ""),
    ("AGE-SECRET-KEY-1", 58, string.ascii_uppercase + string.digits, ""),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", 43, _ALNUM, ""),
    ("OPIK_API_KEY=", 25, _ALNUM, ""),
    ("COMET_API_KEY: ", 25, _ALNUM, ""),
    ("'opik_api_key': '", 25, _ALNUM, "'"),
    ("export WANDB_API_KEY=", 40, _HEX, ""),
    ("aws_secret_access_key = ", 40, _ALNUM + "/+", ""),
    ("Authorization: Bearer ", 40, _ALNUM, ""),
    ("Authorization: Basic ", 32, _ALNUM, "=="),
    ("client_secret=", 32, _ALNUM, ""),
    ("DB_PASSWORD=", 14, _ALNUM, ""),
    ('password = "', 10, _ALNUM, '"'),
    ("postgres://app:", 16, _ALNUM, "@db.example:5432/app"),
    ("https://user:", 20, _ALNUM, "@host.example/repository"),
    ("https://", 40, _ALNUM, "@host.example/repository"),
    ("curl 'https://host.example/v1?api_key=", 32, _ALNUM, "'"),
    ("?access_token=", 40, _ALNUM, "&page=2"),
    ("AccountKey=", 86, _ALNUM, "=="),
    ("https://hooks.slack.com/services/T0123/B0123/", 24, _ALNUM, ""),
    ("//registry.example/:_authToken=npm_", 36, _ALNUM, ""),
    ("my password is ", 12, _ALNUM, ""),
    ("-----BEGIN RSA PRIVATE KEY-----\n", 64, _ALNUM, "\n-----END RSA PRIVATE KEY-----"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\n", 70, _ALNUM, ""),
    ("x-api-key: ", 40, _ALNUM, ""),
)
KEY_FRAMES: Final = ("{}", "I pasted {} into the chat.")


def addresses() -> list[tuple[str, str]]:
    """Texts, and the e-mail address that each holds."""
    return [(frame.format(each), each) for each in ADDRESSES for frame in ADDRESS_FRAMES]


def numbers() -> list[tuple[str, str]]:
    """Texts, and the phone number that each holds."""
    framed = [(frame.format(each), each) for each in NUMBERS for frame in NUMBER_FRAMES]
    return framed + [(text, text.split()[-1]) for text in CUED_NUMBERS]


def keys() -> list[tuple[str, str]]:
    """Texts, and the secret part of the key that each holds; the same in every run."""
    chance = random.Random(5)  # noqa: S311 - made-up keys
    found = []
    for frame in KEY_FRAMES:
        for before, length, alphabet, after in SHAPES:
            # A digit and a letter, as every long random key has.
            secret = "a7" + "".join(chance.choices(alphabet, k=length - 2))
            secret = secret.upper() if alphabet[0] == "A" else secret
            found.append((frame.format(f"{before}{secret}{after}"), secret))
    return found
