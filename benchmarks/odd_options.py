"""Options out of range for `odd_inputs.py`, and clip stores, certificates and search spaces that are damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from odd_labels import IMPORT, SMALL, Command

# What is in place of a value of `IMPORT` and `SMALL`, and what the line says.
_IMPORT = {
    "--pattern '('": "is not a regular expression",
    "--pattern ann": "has no named group 'action'",
    "--pattern ''": "--pattern: must not be given an empty text",
    "--pattern '(?P<person>x)(?P<take>y)(?P<action>z)'": "the pattern matches no file",
    "--pattern '(?P<person>ann|bob)(?P<take>\\d)_(?P<action>kick|walk|)(?P<x>)'": 8,
    "--pattern '(?P<person>ann|bob)(?P<take>\\d)(?P<action>)'": "must not be empty",
    "--action take --group action --test-groups walk": "unknown group '2'",
    "--action acton": "has no named group 'acton'",
    "--private person person": 8,
    "--private person action take": 8,
    "--private ''": "--private: must not be given an empty text",
    "--group person --test-groups ann": "unknown group '2'",
    "--test-groups 9": "unknown group '9'",
    "--test-groups 1 2": "must leave groups to train on",
    "--test-groups 2 2": 8,
    "--val-groups 2": "a group is in one split only",
    "--val-groups 1": "must leave groups to train on",
    "--val-groups 7": "unknown group '7'",
    "--val-fraction 0": 8,
    "--val-fraction 0.99": 8,
    "--val-fraction 1": "must be at least 0 and below 1",
    "--val-fraction -0.1": "must be at least 0 and below 1",
    "--val-fraction nan": "must be at least 0 and below 1",
    "--val-fraction x": "--val-fraction",
    "--num-frames 0": "--num-frames",
    "--num-frames 1": 8,
    "--num-frames 500": 8,
    "--num-frames 1.5": "--num-frames",
    "--frame-step 0": "--frame-step",
    "--frame-step 1": 8,
    "--frame-step 1000000000": 8,
    "--size 0x4": "--size: must be height x width",
    "--size 4": "--size: must be height x width",
    "--size 4X4": "--size: must be height x width",
    "--size -4x4": "--size",
    "--size 1x1": 8,
    "--size 1000000x1000000": "--size",
    "--size 99999999999999999999x1": "--size",
    "--workers 0": "--workers",
    "--workers 100": 8,
    "--split 1": "--split cannot go with folder",
    "--labels x": "--labels cannot go with folder",
    "--root {}": "unknown data set",
    "--nonsense": "--nonsense",
}


def _imports() -> Iterator[Command]:
    for option, promise in _IMPORT.items():
        yield Command(
            "import option", option, f"clips import {{}}/videos {IMPORT} {SMALL} {option} -o {{}}/out", promise
        )
    for words, said in {
        "kth --root {}/videos --test-groups d9": "no video is named like",
        "kth --root {}/gone": "must be a folder",
        "ucf101 --root {}/videos": "no label file",
        "ucf101 --root {}/videos --split 4": "--split: must be 1, 2 or 3",
        "hmdb51 --root {}/videos --pattern x": "--pattern cannot go with data set 'hmdb51'",
        "vispr --root {}/videos --attributes x": "--num-frames cannot go with",
        "ucf101": "needs --root",
        "ucf102 --root {}/videos": "Did you mean 'ucf101'",
        "{}/videos": "needs --pattern",
    }.items():
        yield Command("import option", words, f"clips import {words} {SMALL} -o {{}}/out", said)


_ANONYMIZE = {
    "--method blurr:4": "unknown method 'blurr'. Did you mean 'blur'",
    "--method blur:0": "must be",
    "--method blur:x": "must be",
    "--method blur:1:2": "blur",
    "--method blur:inf": "must be",
    "--method ''": "--method: must not be given an empty text",
    "--method adversarial": "must be a closed-form method",
    "--method pixelate:0": "must be",
    "--method pixelate:1000000": "must be",
    "--method person-blur:4:detector=x": "detector",
    "--method blur:4 --crf 52": "--crf",
    "--method blur:4 --crf x": "--crf",
    "--method blur:4 --device cuda:99": "cuda",
    "--method blur:4 --device x": "device",
    "--method blur:4 --chunk 1": "--chunk",
    "--method blur:4 --ending .avi": "--ending: must be one of",
    "--method blur:4 --ending mp4": "--ending: must be one of",
    "--method blur:4 --scale": "--scale: needs an anonymizer whose training size is known",
    "--method blur:4 --certificate {}/gone": "cannot be read: No such file",
    "--method blur:4 --certificate {}/space.toml": "is no certificate",
    "--method blur:4 --certificate {}/videos": "cannot be read: Is a directory",
    "--method blur:4 --trial 0001": "go with --study",
    "--method blur:4 --file x": "give exactly one of",
    "--file {}/gone": "No such file",
    "--file {}/space.toml": "is not a readable safetensors file",
    "--file {}/videos/ann1_kick.mp4": "is not a readable safetensors file",
    "--study {}/gone --trial 0001": "no study there",
    "--study {}/store --trial 0001": "no study there",
    "--study {}/store": "needs one of --trial and --leakage-at-most",
    "--study {}/store --leakage-at-most 2": "--leakage-at-most",
    "": "give exactly one of",
}
_OUTPUTS = {
    "ann1_kick.mp4 -o {}/out.avi": "must end in one of .mp4",
    "ann1_kick.mp4 -o {}/out": "must end in one of .mp4",
    "ann1_kick.mp4 -o {}/videos/ann1_kick.mp4": "is the input itself",
    "ann1_kick.mp4 -o {}/videos/ann1_walk.mp4": "already exists",
    "ann1_kick.mp4 -o {}/space.toml/out.mp4": "Not a directory",
    "ann1_kick.mp4 -o ''": "-o: must not be given an empty text",
    "gone.mp4 -o {}/out.mp4": "No such file",
    "gone -o {}/out": "must end in one of",
    ". -o {}/space.toml": "must be a folder for several videos",
    ". -o {}/videos": "must not hold the folder of the input",
    ". -o {}": "must not hold the folder of the input",
    "../store -o {}/out": "holds no file with the suffix of a video",
    "ann1_kick.mp4 {}/videos/ann1_kick.mp4 -o {}/out": "is not the only video that would become",
}


def _anonymizes() -> Iterator[Command]:
    for option, said in _ANONYMIZE.items():
        words = f"anonymize {{}}/videos/ann1_kick.mp4 -o {{}}/out.mp4 {option}"
        yield Command("anonymize option", option or "nothing", words, said)
    for words, said in _OUTPUTS.items():
        yield Command("anonymize option", words, f"anonymize {{}}/videos/{words} --method blur:2", said)


def _stores() -> Iterator[Command]:
    def cut(name: str, keep: float) -> object:
        def prepare(folder: Path) -> None:
            path = folder / "store" / name
            content = path.read_bytes()
            path.write_bytes(content[: round(keep * len(content))])

        return prepare

    for name in ("manifest.parquet", "frames.npy"):
        for keep in (0, 0.5, 0.99):
            yield Command("store", f"{name} {keep}", "clips info {}/store", name, cut(name, keep))
        gone = lambda folder, name=name: (folder / "store" / name).unlink()  # noqa: E731
        yield Command("store", f"{name} gone", "clips info {}/store", f"must hold '{name}'", gone)
    longer = lambda folder: (folder / "store/frames.npy").open("ab").write(bytes(9))  # noqa: E731
    yield Command("store", "frames.npy longer", "clips info {}/store", "frames.npy", longer)
    for words, said in {
        "clips info {}/gone": "must hold 'manifest.parquet'",
        "clips info {}/space.toml": "must hold 'manifest.parquet'",
        "clips info ''": "must not be given an empty text",
        "clips info nonsense://x": "nonsense",
        "clips copy {}/store {}/out": "the destination must be a remote URI",
        "clips avatars -o {}/store": "already exists",
        "clips avatars -o {}/out --num-frames 1": "--num-frames",
        "clips avatars -o {}/out --seed -1": "--seed",
        "clips avatars -o {}/out --size 0x0": "--size",
        "clips avatars -o {}/out --size 1000000x1000000": "--size",
    }.items():
        yield Command("store", words, words, said)


_FOLDERS = f"audit --original {{}}/videos --anonymized {{}}/anon {IMPORT} {SMALL}"


def _audits() -> Iterator[Command]:
    for words, said in {
        "audit": "give exactly one of",
        "audit --method blur:4": "--method needs --clips",
        "audit --method blur:4 --clips {}/gone": "must hold 'manifest.parquet'",
        "audit --method blur:4 --clips {}/store --seeds 0": "--seeds",
        "audit --method blur:4 --clips {}/store --crf 9": "--crf: needs a codec",
        "audit --method blur:4 --clips {}/store --codec h265": "--codec",
        "audit --method blur:4 --clips {}/store --set max_steps=0": "max_steps",
        "audit --method blur:4 --clips {}/store --set max_steps=x": "max_steps",
        "audit --method blur:4 --clips {}/store --set attackers=x": "unknown attacker 'x'",
        "audit --method blur:4 --clips {}/store --set nonsense=1": "unknown name 'nonsense'",
        "audit --method blur:4 --clips {}/store --set x": "must be name=value",
        "audit --method blur:4 --clips {}/store -o {}/videos": "must be a file",
        "audit --method blur:4 --clips {}/store -o {}/space.toml/x": "Not a directory",
        "audit --method blur:4 --clips {}/store --device x": "device",
        f"{_FOLDERS}": "anon: must be a folder of videos",
        f"{_FOLDERS} --anonymized {{}}/videos --anonymized-suffix _x": "have no anonymized file of the same name",
        f"{_FOLDERS} --anonymized {{}}/videos --num-frames 0": "--num-frames",
        f"{_FOLDERS} --anonymized {{}}/videos --val-fraction 2": "--val-fraction",
        f"{_FOLDERS} --anonymized {{}}/store": "have no anonymized file of the same name",
        f"{_FOLDERS} --clips {{}}/store": "--clips cannot go with --original",
    }.items():
        yield Command("audit option", words, words, said)


_STUDY = {
    "--trials 0": "--trials",
    "--trials -1": "--trials",
    "--trials 1e3": "--trials",
    "--seed -1": "--seed",
    "--workers 0": "--workers",
    "--cpus 0": "--cpus",
    "--gpus -1": "--gpus",
    "--gpus nan": "--gpus",
    "--scale-to 0": "--scale-to",
    "--max-failures -1": "--max-failures",
    "--job-limit 0": "--job-limit",
    "--max-concurrent 0": "--max-concurrent",
    "--sampler luck": "sampler",
    "--set training.num_steps=0": "training.num_steps",
    "--set training.num_steps=many": "training.num_steps",
    "--set training.nun_steps=3": "Did you mean 'training.num_steps'",
    "--set privacy.weight=nan": "privacy.weight",
    "--set training.num_steps": "must be name=value",
    "--constraint leakage_at_most=2": "leakage_at_most",
    "--constraint leakage=1": "unknown key 'leakage'",
    "--constraint leakage_at_most=nan": "leakage_at_most",
    "--stop seconds=-1": "seconds",
    "--stop hours=1": "unknown key 'hours'",
    "--stills {}/gone": "must hold 'manifest.parquet'",
    "--warm-start {}/gone": "no study there",
    "--clips {}/gone": "must hold 'manifest.parquet'",
    "--clips {}/videos": "must hold 'manifest.parquet'",
    "--out {}/space.toml": "must be a directory, not a file",
    "--package {}/gone": "gone",
    "--storage nonsense": "storage",
}
_SPACES = {
    "": "nothing is searched",
    "[search": "is not valid TOML",
    "[serach]\nx = 1": "unknown table 'serach'",
    '[search]\n"penalty.weight" = { low = 3, high = 1 }': "low must be below high",
    '[search]\n"penalty.weight" = { low = 0, high = 1, log = true }': "low must be above 0 on a log scale",
    '[search]\n"penalty.weight" = { low = "a", high = 1 }': "low",
    '[search]\n"penalty.weight" = { low = 0, high = inf }': "high",
    '[search]\n"penalty.weight" = { low = 0, high = nan }': "high",
    '[search]\n"penalty.weight" = { low = 0, high = 1, step = 0 }': "step",
    '[search]\n"penalty.weight" = { choices = [] }': "choices",
    '[search]\n"penalty.weight" = { choices = [1, 1] }': "choices",
    '[search]\n"penalty.weight" = 3': "penalty.weight",
    '[search]\n"penalty.weight" = { low = 0, high = 1 }\n[fixed]\n"penalty.weight" = 1': "penalty.weight",
    'extends = "gone.toml"': "gone.toml",
    'extends = "space.toml"': "extends",
    "search = 3": "search",
    '[study]\nnum_trials = 0\n[search]\n"penalty.weight" = { low = 0, high = 1 }': "num_trials",
}


def _studies() -> Iterator[Command]:
    study = "study {}/space.toml --clips {}/store --out {}/out"
    for option, said in _STUDY.items():
        yield Command("study option", option, f"{study} {option}", said)
    for text, said in _SPACES.items():
        content = text.encode()
        yield Command("space", text, study, said, lambda folder, content=content: _space(folder, content))
    for content in (b"\xff\xfe[", b'[search]\n"penalty.weight" = { low = 0, high = 1 } # \xe9'):
        yield Command(
            "space",
            repr(content),
            study,
            "must be text in UTF-8",
            lambda folder, content=content: _space(folder, content),
        )
    for verb in ("front", "report", "status", "resume", "verify", "certify", "export {}/store --trial 0 -o x #"):
        yield Command("study option", verb, f"{verb} {{}}/store", "no stud")


def _space(folder: Path, content: bytes) -> None:
    (folder / "space.toml").write_bytes(content)


def options() -> Iterator[Command]:
    """Yield commands with options out of range, and with damaged files."""
    for kind in (_imports, _anonymizes, _stores, _audits, _studies):
        yield from kind()
