"""The managed environment: made with a tiny package from a folder of wheels, verified, broken, repaired, removed."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest

VERIFY = """
import json, sys
{imports}
print("a line of some library")
versions = {{"tiny": "1.0"}}
print("protolabel-verified:" + json.dumps({{"prefix": sys.prefix, "device": sys.argv[1], "versions": versions}}))
"""
VERIFY_TINY = VERIFY.format(imports="import tiny; assert tiny.ANSWER == 42")
VERIFY_NOTHING = VERIFY.format(imports="")
VERIFY_CRF = """
import importlib.util, json, sys
crf = importlib.util.find_spec("pydensecrf2") is not None
print("protolabel-verified:" + json.dumps({"prefix": sys.prefix, "device": "cpu", "versions": {}, "crf": crf}))
"""
VERIFY_CPU = """
import json, sys
assert sys.argv[1] == "cpu", "libcudnn.so.9: cannot open shared object file"
print("protolabel-verified:" + json.dumps({"prefix": sys.prefix, "device": "cpu", "versions": {}}))
"""


@pytest.fixture(scope="module")
def modules(plugin_module):
    class Modules:
        environment = plugin_module("plugin.client.environment")
        steps = plugin_module("plugin.client.install_steps")
        lock = plugin_module("plugin.client.install_lock")
        explain = staticmethod(plugin_module("plugin.client.install_errors").explain)
        verify = plugin_module("plugin.client.verify")
        diagnostics = staticmethod(plugin_module("plugin.client.diagnostics").diagnostics)
        interpreter = plugin_module("plugin.client.interpreter")
        candidates = plugin_module("plugin.client.candidates")
        errors = plugin_module("plugin.client.errors")

    return Modules


@pytest.fixture(scope="module")
def python(modules):
    """This interpreter's own account of itself."""
    candidate = modules.candidates.Candidate(Path(sys.executable), modules.candidates.Source.SYSTEM)
    return modules.interpreter.judge(candidate).probe


@pytest.fixture
def requirements(tmp_path):
    path = tmp_path / "backend.txt"
    path.write_text("tiny>=1  # a package of one line\n")
    return path


@pytest.fixture
def wheels(tmp_path):
    """A folder with a wheel that was never on any server."""
    folder = tmp_path / "wheels with blanks"
    folder.mkdir()
    make_wheel(folder, "tiny")
    return folder


def make_wheel(folder, package):
    with zipfile.ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{package}.py", "ANSWER = 42\n")
        info = f"{package}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tag)
        names = (f"{package}.py", *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")))
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))


@pytest.fixture
def options(modules):
    return modules.steps.InstallOptions(disk_space=1, device="cpu")


@pytest.fixture
def managed(modules, tmp_path, requirements):
    """Environments that prove to work without any package."""
    return modules.environment.Environments(tmp_path / "data", requirements, VERIFY_NOTHING)


@pytest.fixture
def steps_are(modules, monkeypatch):
    """Replaces the steps of pip by Python code, which finds the environment's folder in ``sys.argv[1]``."""

    def set_steps(*codes):
        def steps(python, folder, requirements, options):
            yield modules.steps.Step(
                "Making", (str(python), "-I", "-m", "venv", "--without-pip", str(folder))
            )
            for code in codes:
                yield modules.steps.Step("Installation", (str(python), "-I", "-c", code, str(folder)))

        monkeypatch.setattr(modules.environment, "install_steps", steps)

    return set_steps


@pytest.mark.slow
def test_life_of_an_environment(modules, tmp_path, python, requirements, wheels, options):
    root = tmp_path / "Möbel & Ärger" / "data of Jürgen"
    environments = modules.environment.Environments(root, requirements, VERIFY_TINY)
    options = dataclasses.replace(options, wheels=wheels)
    assert environments.find() is None

    said = []
    made = environments.create(python, options, said.append)
    assert made.folder == environments.folder(python)
    assert made.folder.name.startswith(f"env-{python.short}-")
    assert made.verified.device == "cpu"
    assert Path(made.verified.prefix) == made.folder
    assert any("Successfully installed tiny" in line for line in said)
    assert environments.log.read_text(encoding="utf-8").splitlines() == said
    assert not (made.folder / "tmp").exists()
    assert environments.find() == made

    assert environments.repair(python, options) == made, "what works stays"
    [module] = made.folder.rglob("tiny.py")
    module.unlink()
    said.clear()
    repaired = environments.repair(python, options, said.append)
    assert said[0] == "The package tiny is missing; repair the environment."
    assert repaired == environments.find() == made
    assert list(made.folder.rglob("tiny.py"))

    environments.remove()
    assert environments.find() is None
    assert sorted(path.name for path in root.iterdir()) == ["install.lock", "install.log"]
    environments.remove()


@pytest.mark.slow
def test_without_a_compiler_all_else_is_installed_and_repair_adds_the_rest(
    modules, tmp_path, python, requirements, wheels, options
):
    requirements.write_text("tiny\npydensecrf2  # not among the wheels at first\n")
    environments = modules.environment.Environments(tmp_path / "data", requirements, VERIFY_CRF)
    options = dataclasses.replace(options, wheels=wheels)
    assert modules.steps.compiler_needed(requirements, wheels)
    said = []
    made = environments.create(python, options, said.append)
    assert not made.verified.crf
    assert "no pydensecrf2 for this Python" in made.verified.crf_note
    assert any("left out" in line for line in said)
    assert environments.find() == made
    assert environments.check("cpu") == made, "a check keeps the reason"
    stamp = made.python.lstat().st_mtime_ns

    make_wheel(wheels, "pydensecrf2")
    assert not modules.steps.compiler_needed(requirements, wheels)
    repaired = environments.repair(python, options)
    assert repaired.verified.crf
    assert not repaired.verified.crf_note
    assert environments.find() == repaired
    assert repaired.python.lstat().st_mtime_ns == stamp, "it was not made anew"


def test_cuda_that_does_not_work_is_replaced_by_the_build_for_the_cpu(
    modules, tmp_path, python, requirements, steps_are
):
    steps_are()
    requirements.write_text("")
    environments = modules.environment.Environments(tmp_path / "data", requirements, VERIFY_CPU)
    said = []
    options = modules.steps.InstallOptions(cuda=True, disk_space=1)
    made = environments.create(python, options, said.append)
    assert made.verified.device == "cpu"
    assert "does not work on this machine" in made.verified.note
    assert environments.find() == made
    assert sum(line == "Making ..." for line in said) == 2
    with pytest.raises(modules.errors.CheckError):
        environments.create(python, dataclasses.replace(options, cuda=False))
    assert environments.find() is None


def test_download_needs_what_the_build_takes(modules, tmp_path):
    cpu, cuda = modules.steps.InstallOptions(), modules.steps.InstallOptions(cuda=True)
    assert cpu.download < cuda.download < cuda.needed
    assert cpu.needed < cuda.needed
    assert modules.steps.InstallOptions(wheels=tmp_path).download == 0
    assert cuda.for_cpu().device == "cpu"
    assert modules.steps.download_progress("Progress 5 of 10") == (5, 10)
    assert modules.steps.download_progress("Downloading 5 of 10") is None


def test_cancel_kills_the_child_with_its_children_and_removes_all(
    modules, python, managed, options, steps_are
):
    steps_are(
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print('child', child.pid, flush=True); time.sleep(60)"
    )
    cancel, lines, stopped = threading.Event(), [], []

    def say(line):
        lines.append(line)
        if line.startswith("child"):
            stopped.append(time.monotonic())
            cancel.set()

    with pytest.raises(modules.errors.SetupCancelled):
        managed.create(python, options, say, cancel)
    assert time.monotonic() - stopped[0] < 3
    assert not managed.folder(python).exists()
    pid = int(lines[-1].split()[1])
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_cancel_ends_the_check_as_well(modules, tmp_path, python, requirements, options, steps_are):
    steps_are()
    script = "import time; time.sleep(60)"
    managed = modules.environment.Environments(tmp_path / "data", requirements, script)
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    with pytest.raises(modules.errors.SetupCancelled):
        managed.create(python, options, cancel=cancel)
    assert not managed.folder(python).exists()


def test_failed_step_is_explained_and_leaves_nothing(modules, python, managed, options, steps_are):
    steps_are("import sys; print('OSError: [Errno 28] No space left on device'); sys.exit(1)")
    with pytest.raises(modules.errors.SetupError, match="disk is full"):
        managed.create(python, options)
    assert not managed.folder(python).exists()
    assert "No space left" in managed.log.read_text()
    assert managed.find() is None


def test_mistake_of_the_listener_leaves_nothing(python, managed, options, steps_are):
    steps_are()

    def say(line):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        managed.create(python, options, say)
    assert not managed.folder(python).exists()


def test_what_a_crash_left_is_no_environment_and_is_replaced(python, managed, options, steps_are):
    steps_are()
    folder = managed.folder(python)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    assert managed.find() is None
    (folder / "protolabel.json").write_text("{half")
    assert managed.find() is None
    assert managed.create(python, options) == managed.find()


def test_other_requirements_ask_for_another_environment(
    modules, tmp_path, python, managed, options, steps_are
):
    steps_are()
    managed.create(python, options)
    other = tmp_path / "other.txt"
    other.write_text("tiny>=2\n")
    changed = modules.environment.Environments(managed.root, other, VERIFY_NOTHING)
    assert changed.find() is None
    assert changed.folder(python) != managed.folder(python)
    other.write_bytes(b"tiny>=1  # a package of one line\r\n")
    same = modules.environment.Environments(managed.root, other, VERIFY_NOTHING)
    assert same.find() == managed.find(), "line ends do not matter"
    changed.remove()
    assert managed.find() is None, "outdated ones go as well"


def test_too_little_space_is_told_before_anything_is_done(modules, python, managed, options):
    options = dataclasses.replace(options, disk_space=1 << 60)
    with pytest.raises(modules.errors.SetupError, match=r"GB free and 1152921504\.6 GB are needed"):
        managed.create(python, options)
    assert not managed.folder(python).exists()


def test_folder_that_cannot_be_written_is_told(modules, tmp_path, python, requirements, options):
    (tmp_path / "file").touch()
    managed = modules.environment.Environments(tmp_path / "file", requirements, VERIFY_NOTHING)
    with pytest.raises(modules.errors.SetupError, match="choose another folder"):
        managed.create(python, options)


def test_two_cannot_install_at_once_and_a_stale_lock_is_none(
    modules, tmp_path, plugin_module, python, managed, options, steps_are
):
    steps_are()
    packages = Path(plugin_module("plugin").__file__).parents[2]
    path = managed.root / "install.lock"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from plugin_of_any_name.plugin.client.install_lock import install_lock\n"
        "with install_lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        try:
            assert other.stdout.readline() == "held\n"
            for action in (lambda: managed.create(python, options), managed.remove):
                with pytest.raises(modules.errors.SetupError, match=rf"another QGIS \(process {other.pid}\)"):
                    action()
        finally:
            other.kill()
    assert path.read_text().strip() == str(other.pid), "it was left behind"
    managed.create(python, options)
    assert path.read_text().strip() == str(os.getpid())


def test_lock_counts_between_threads_too(modules, tmp_path):
    with (
        modules.lock.install_lock(tmp_path / "lock"),
        pytest.raises(modules.errors.SetupError),
        modules.lock.install_lock(tmp_path / "lock"),
    ):
        pass
    with modules.lock.install_lock(tmp_path / "lock"):
        pass


def test_environment_that_believes_to_be_another_is_refused(modules, tmp_path):
    with pytest.raises(modules.errors.SetupError, match="believes to be in"):
        modules.verify.verify(Path(sys.executable), "cpu", tmp_path, VERIFY_NOTHING)


def test_environment_of_the_user_may_be_anywhere(modules):
    environ = {**os.environ, "PYTHONHOME": "/nowhere", "PYTHONEXECUTABLE": "/nowhere/python"}
    verified = modules.verify.verify(Path(sys.executable), "cpu", script=VERIFY_NOTHING, environ=environ)
    assert verified.versions == {"tiny": "1.0"}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('hello')", "no answer that is understood"),
        ("print('protolabel-verified:{')", "no answer that is understood"),
        ("import no_such_package", "no_such_package is missing"),
        ("raise OSError('[WinError 126] Error loading c10.dll')", "Visual C"),
        ("assert False, 'some other reason'", "some other reason"),
    ],
)
def test_failed_check_is_explained(modules, script, words):
    with pytest.raises(modules.errors.SetupError, match=words):
        modules.verify.verify(Path(sys.executable), "cpu", script=script)


@pytest.mark.slow
def test_real_check_imports_and_computes(modules):
    verified = modules.verify.verify(Path(sys.executable), "cpu", Path(sys.prefix))
    assert verified.device == "cpu"
    assert {"python", "torch", "torchvision", "rasterio", "pyogrio"} == set(verified.versions)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        ("OSError: [WinError 112] There is not enough space on the disk", "disk is full"),
        ("Tunnel connection failed: 407 Proxy Authentication Required", "proxy refused"),
        ("certificate verify failed: CERTIFICATE_VERIFY_FAILED", "certificate"),
        ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", "internet"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", "internet"),
        ("error: command '/usr/bin/x86_64-linux-gnu-g++' failed with exit code 1", "apt install g++"),
        ("error: command 'gcc' failed: No such file or directory", "apt install g++"),
        ("src/a.cpp:3:10: fatal error: Python.h: No such file or directory", "python3-dev"),
        (
            "ImportError: DLL load failed while importing _C: The specified module was not found.",
            "Visual C++",
        ),
        ("RuntimeError: Found no NVIDIA driver on your system.", "install for the CPU"),
        ("CUDA error: no kernel image is available for execution on the device", "install for the CPU"),
        ("/usr/bin/python3: No module named ensurepip", "python3-venv"),
        ("PermissionError: [WinError 5] Access is denied: 'torch.dll'", "virus scanner"),
        ("ERROR: No matching distribution found for torch>=2.11", "There is no torch>=2.11 for this Python"),
        ("ERROR: Missing dependencies for SOCKS support.", "HTTP proxy"),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040).", "its driver"),
        ("RuntimeError: operator torchvision::nms does not exist", "from the same place"),
        ("OSError: libcudart.so.13: cannot open shared object file", "install for the CPU"),
        ("OSError: [WinError 206] The filename or extension is too long", "short path"),
        ("OSError: [WinError 1260] This program is blocked by group policy.", "that already exists"),
        ("something nobody has seen.", "Installation failed: something nobody has seen."),
    ],
)
def test_failures_are_explained_in_one_sentence_with_the_fix(modules, line, words):
    sentence = modules.explain(["Collecting x", line, ""], "Installation", system="linux")
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_first_cause_wins(modules):
    lines = [
        "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.')'",
        "ERROR: Could not find a version that satisfies the requirement torch",
        "ERROR: No matching distribution found for torch",
    ]
    assert "proxy" in modules.explain(lines, "x")
    assert "folder of wheels holds no torch" in modules.explain(lines[1:], "x", offline=True)
    assert "Visual Studio" in modules.explain(["Microsoft Visual C++ 14.0 is required"], "x", system="win32")
    assert modules.explain([], "x") == "x failed: it printed nothing."


def test_steps_online(modules, tmp_path, monkeypatch):
    requirements = tmp_path / "backend.txt"
    requirements.write_text(
        "# a comment\ntorch>=2.11  # encoders\ntorchvision  # too\ntorch-other\npydensecrf2 # crf\nnumpy\n"
    )
    options = modules.steps.InstallOptions(proxy="http://me:secret@proxy:1")  # pragma: allowlist secret
    monkeypatch.setattr(modules.steps, "torch_index", lambda cuda: modules.steps.CPU_INDEX)
    steps = list(modules.steps.install_steps(Path("/python3"), tmp_path / "env", requirements, options))
    commands = [step.command for step in steps]
    assert commands[0] == ("/python3", "-I", "-m", "venv", "--without-pip", str(tmp_path / "env"))
    assert commands[3][-4:] == ("--index-url", modules.steps.CPU_INDEX, "torch>=2.11", "torchvision")
    assert commands[4][-4:] == ("torch>=2.11", "torchvision", "torch-other", "numpy")
    assert "--index-url" not in commands[4]
    [optional] = modules.steps.optional_steps(tmp_path / "env", requirements, options)
    assert optional.command[-1] == "pydensecrf2"
    for command in commands[2:]:
        assert {"--no-input", "--disable-pip-version-check"} <= set(command)
    assert "secret" not in str(commands), "every user of a machine sees the arguments"
    assert options.variables(tmp_path)["HTTPS_PROXY"] == options.proxy
    assert modules.steps.without_secrets(f"via {options.proxy}/") == "via http://proxy:1/"


def test_where_pytorch_comes_from(modules):
    index = modules.steps.torch_index
    assert [index(cuda, "linux") for cuda in (False, True)] == [modules.steps.CPU_INDEX, None]
    assert [index(cuda, "win32") for cuda in (False, True)] == [None, modules.steps.CUDA_INDEX]
    assert index(False, "darwin") is index(True, "darwin") is None


def test_data_folder_follows_the_system(modules):
    folder = modules.environment.data_folder
    assert folder("linux", {"XDG_DATA_HOME": "/data"}) == Path("/data/protolabel")
    assert folder("linux", {}) == Path.home() / ".local" / "share" / "protolabel"
    assert folder("win32", {"LOCALAPPDATA": "/local"}) == Path("/local/Protolabel")
    assert folder("win32", {"LOCALAPPDATA": "/local", "PROTOLABEL_DATA": "/other"}) == Path("/other")
    assert folder("darwin", {}) == Path.home() / "Library" / "Application Support" / "Protolabel"


def test_report_tells_all_but_who_the_user_is(modules, tmp_path, python):
    log = tmp_path / "install.log"
    address = "http://jo:pw@proxy"  # pragma: allowlist secret
    log.write_text("".join(f"line {n} in /home/jo/data of jo, {address}\n" for n in range(100)))
    candidate = modules.candidates.Candidate(Path("/home/jo/bin/python3"), modules.candidates.Source.CHOSEN)
    verdict = modules.interpreter.Verdict(candidate, python, "It does not fit.")
    verified = modules.verify.Verified("/home/jo/env", "cpu", {"torch": "2.11"}, "The driver is old")
    report = modules.diagnostics(
        {"QGIS": "4.0"},
        [verdict],
        modules.environment.Environment(Path("/home/jo/env"), verified),
        [log, tmp_path / "absent.log"],
        Path("/home/jo"),
        "jo",
    )
    for words in (
        "QGIS: 4.0",
        "torch: 2.11",
        "~/bin/python3",
        "It does not fit.",
        "line 99 in ~/data of USER",
    ):
        assert words in report
    assert "line 59 " not in report
    assert "cannot be read" in report
    assert "pw" not in report
    assert "jo" not in report.replace("job", "")


def test_report_works_with_nothing(modules):
    report = modules.diagnostics({})
    assert "- none\n" in report
    assert json.dumps(str(Path.home()))[1:-1] not in report or Path.home() == Path("/")
