"""Fetches pinned wheels for `./x`: resumed where a download broke off, checked by SHA-256, from the index pip uses."""

import base64
import hashlib
import html
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request

DEFAULT_INDEX = "https://pypi.org/simple"
JSON_INDEX = "application/vnd.pypi.simple.v1+json"
ATTEMPTS = 5
NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)  # URLError is an OSError; ValueError: a malformed URL


class Failure(Exception):
    """Ends ./x with one paragraph that says what to do."""


def say(text):
    print(f"x: {text}", file=sys.stderr, flush=True)


def wheel(name, sha256, folder):
    """The path of the wheel of this file name in `folder`, downloaded if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if target.exists() and digest(target) == sha256:
        say(f"{name} is downloaded already")
        return target
    say(f"downloading {name}")
    part = folder / (name + ".part")
    try:
        download(name, sha256, part)
    except NETWORK_ERRORS as error:
        say(f"the download failed ({plain(error)}); asking pip to fetch it")
        pip_download(name, sha256, folder)
        return target
    os.replace(part, target)
    return target


def download(name, sha256, part):
    """Downloads into `part`, going on from what it holds; a whole file with a wrong hash is fetched again."""
    index = Index()
    url = index.url_of(name)
    for attempt in range(ATTEMPTS):
        resumed = part.exists()
        try:
            transfer(index, url, part)
        except NETWORK_ERRORS as error:
            status = getattr(error, "code", 500)
            hopeless = status < 500 and status not in (408, 416, 429)
            if hopeless or attempt + 1 == ATTEMPTS:
                raise
            if status != 416:  # 416: the part is already as long as the file, or longer
                say(f"{plain(error)}; trying again")
                time.sleep(2 ** attempt)
                continue
        if digest(part) == sha256:
            return
        part.unlink()
        say("the file does not have the expected SHA-256 and was deleted")
        if not resumed:  # what the index sends is wrong; it would be again
            break
    raise ValueError("the index has another file under this name")


def transfer(index, url, part):
    """One request for what `part` lacks, appended to it."""
    have = part.stat().st_size if part.exists() else 0
    response = index.open(url, {"Range": f"bytes={have}-"} if have else {})
    with response, open(part, "ab" if have and response.status == 206 else "wb") as file:
        have = file.tell()
        total = have + int(response.headers.get("Content-Length", 0))
        if have:
            say(f"going on from {have / 1e6:.0f} MB")
        with Progress(total) as progress:
            while chunk := response.read(1 << 20):
                file.write(chunk)
                have += len(chunk)
                progress.at(have)
    if have < total:
        raise OSError("the connection broke off")


class Progress:
    """Percent: in one line that is rewritten on a terminal, else in steps of 25."""

    def __init__(self, total):
        self.total, self.shown, self.terminal = total, 0, sys.stderr.isatty()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.terminal and self.shown:
            print(file=sys.stderr)

    def at(self, have):
        percent = 100 * have // max(self.total, have)
        step = 1 if self.terminal else 25
        if percent - percent % step > self.shown:
            self.shown = percent - percent % step
            before, after = ("\r", "") if self.terminal else ("", "\n")
            print(f"{before}x: {self.shown:3d} % of {self.total / 1e6:.0f} MB", end=after, file=sys.stderr, flush=True)


class Index:
    """The package index that pip is configured to use. What it asks for may hold a password: it is never printed."""

    def __init__(self):
        settings = pip_settings()
        address = urllib.parse.urlsplit(settings.get("index-url") or DEFAULT_INDEX)
        host = address.netloc.rpartition("@")[2]
        self.url = urllib.parse.urlunsplit((address.scheme, host, address.path.rstrip("/") + "/", "", ""))
        self.authorization = None
        if address.username is not None:
            user, password = (urllib.parse.unquote(part or "") for part in (address.username, address.password))
            self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.opener = opener(settings.get("cert"), settings.get("proxy"))

    def open(self, url, headers):
        request = urllib.request.Request(url, headers={"User-Agent": "lipscope-x", **headers})
        if self.authorization and urllib.parse.urlsplit(url)[:2] == urllib.parse.urlsplit(self.url)[:2]:
            # Unredirected: a redirect to another host must not be sent the password.
            request.add_unredirected_header("Authorization", self.authorization)
        return self.opener.open(request, timeout=60)

    def url_of(self, name):
        """Where the file of this name is, by the index's page of its project."""
        page = urllib.parse.urljoin(self.url, name.split("-")[0].replace("_", "-").lower() + "/")
        with self.open(page, {"Accept": f"{JSON_INDEX}, text/html;q=0.1"}) as response:
            page, kind, text = response.url, response.headers.get("Content-Type", ""), response.read().decode()
        if "json" in kind:
            links = {file["filename"]: file["url"] for file in json.loads(text)["files"]}
        else:
            found = re.findall(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)["'][^>]*>([^<]*)</a>""", text, re.IGNORECASE)
            links = {html.unescape(label).strip(): html.unescape(link) for link, label in found}
        if name not in links:
            raise ValueError(f"the package index does not list {name}")
        return urllib.parse.urljoin(page, links[name]).partition("#")[0]


def opener(certificates, proxy):
    handlers = [urllib.request.ProxyHandler({"http": proxy, "https": proxy})] if proxy else []
    context = ssl.create_default_context(cafile=certificates or None)
    return urllib.request.build_opener(*handlers, urllib.request.HTTPSHandler(context=context))


def pip_settings():
    """pip's own settings, from its files and the environment; without pip, what the environment says."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    settings = {}
    for section in ("global", "download", ":env:"):  # later ones win, as in pip
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section + "."):
                settings[name[len(section) + 1:]] = value.strip().strip("'\"")
    if not listing and os.environ.get("PIP_INDEX_URL"):
        settings["index-url"] = os.environ["PIP_INDEX_URL"]
    return settings


def pip_download(name, sha256, folder):
    """The same file through pip, which knows proxies, keyrings and local folders that are not known here."""
    project, version, *_, tag = name[:-len(".whl")].split("-")
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{project}=={version} --hash=sha256:{sha256}\n")
    # One Python version and platform, whatever Python runs pip.
    target = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--only-binary=:all:"]
    target += [f"--platform={name}" for name in tag.split(".")]
    pip("download", "--no-deps", "--require-hashes", *target, f"--dest={folder}", f"--requirement={requirement}")
    requirement.unlink()
    if not (folder / name).exists() or digest(folder / name) != sha256:
        raise Failure(f"pip did not fetch {name}. Check that the package index has it: `{sys.executable} -m pip "
                      f"download {project}=={version}`.")


def pip(*arguments):
    """Runs pip, or says what is missing for it."""
    command = [sys.executable, "-m", "pip"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode != 0:
        raise Failure(f"{sys.executable} has no pip. Install it (`apt install python3-pip`, or `{sys.executable} -m "
                      "ensurepip`) and run this again.")
    # A user's setting that would forbid a download, and a notice that is of no use here.
    settings = {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run([*command, *arguments], env={**os.environ, **settings}, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Failure("pip could not fetch what is needed; its message is above. Check the network connection and "
                      "pip's index settings (`pip config list`), then run this again: what was downloaded is kept.")


def digest(path):
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            sha256.update(chunk)
    return sha256.hexdigest()


def plain(error):
    """An error in words, without an address that may hold a password."""
    reason = getattr(error, "reason", None)
    return re.sub(r"\S+://\S+", "the index", str(reason or error or type(error).__name__))
