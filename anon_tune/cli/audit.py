"""``anon-tune audit``: a leakage certificate for an anonymizer, ours or not."""

from __future__ import annotations

import os
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from anon_tune.cli import audit_subject
from anon_tune.cli.study import parse_setting
from anon_tune.errors import UsageError
from anon_tune.folder import File, Folder

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.recipe import AuditRecipe


class Format(StrEnum):
    """How a certificate is printed."""

    TABLE = "table"
    JSON = "json"


def audit(
    study: Annotated[
        Folder | None, typer.Argument(metavar="STUDY", parser=Folder.at, help="Study directory, with --trial.")
    ] = None,
    trial: Annotated[str | None, typer.Option(help="Audit this trial of STUDY, on the study's clips.")] = None,
    method: Annotated[str | None, typer.Option(help="Audit an anonymizer that nobody trains, as pixelate:8.")] = None,
    file: Annotated[Path | None, typer.Option(help="Audit an anonymizer file that 'export' wrote.")] = None,
    clips: Annotated[
        str | None,
        typer.Option(metavar="avatars|DIR|URI", help="Built-in clips, or a clip store; with --method, --file."),
    ] = None,
    original: Annotated[
        Path | None, typer.Option(help="Folder of videos; options from here to --skip-bad go with it.")
    ] = None,
    anonymized: Annotated[Path | None, typer.Option(help="Audit what any tool made of them: the same names.")] = None,
    anonymized_suffix: Annotated[
        str | None, typer.Option(help="What the tool adds to names: _anonymized for a_anonymized.mp4.")
    ] = None,
    pattern: Annotated[str | None, typer.Option(help="As in 'clips import', over the names in --original.")] = None,
    action: Annotated[str | None, typer.Option(help="Named group that is the action.")] = None,
    private: Annotated[list[str] | None, typer.Option(help="Named groups that are private; one or more.")] = None,
    group: Annotated[str | None, typer.Option(help="Named group that no two splits may share.")] = None,
    test_groups: Annotated[list[str] | None, typer.Option(help="Values of the group that are tested on.")] = None,
    val_groups: Annotated[list[str] | None, typer.Option(help="Values of the group that select.")] = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="Else the share of training clips that does; 0.15.")
    ] = None,
    num_frames: Annotated[int | None, typer.Option(min=1, help="Frames of a clip; 16 if left out.")] = None,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Of a frame; 112x112 if left out.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out videos that cannot be decoded.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Certificate to write, JSON.")] = None,
    format: Annotated[Format, typer.Option(help="What is printed: table or json.")] = Format.TABLE,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of every attacker.")] = None,
    codec: Annotated[
        Literal["h264"] | None, typer.Option(help="Put all clips through this codec before any attacker sees them.")
    ] = None,
    crf: Annotated[int | None, typer.Option(min=0, max=51, help="Constant rate factor of the codec.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What attackers may spend: max_steps=400.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where to keep what raw clips teach, for further audits.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1; auto takes a GPU if there is one.")] = "auto",
) -> None:
    """Measure what attackers can still tell from anonymized clips: a certificate.

    Attackers of several families, fresh ones and ones that know the raw clips,
    learn on the training split until they no longer improve. Leakage is the
    strongest one's on the test split: against these attackers, on these clips.

    A trial: anon-tune audit runs/first --trial 0007

    A method: anon-tune audit --method pixelate:8 --clips avatars -o pixelate.json

    An anonymizer file: anon-tune audit --file anonymizer.safetensors
    --clips clips/mine --codec h264

    Another tool: anon-tune audit --original videos --anonymized blurred
    --anonymized-suffix _blurred --action action --private person --group take
    --pattern '(?P<person>\\D+)(?P<take>\\d)_(?P<action>\\w+)' --test-groups 2
    --num-frames 8 --size 64x48

    CERTIFIED: every attacker had stopped improving. LOWER_BOUND: one had not, or was
    given less than by default, so more may be found; exit code 0 as well. REFUSED: a check of the
    measurement itself failed; exit code 1. A trial's certificate is also kept in
    STUDY/audits; 'anon-tune report STUDY' shows all certificates of that folder.
    """
    from anon_tune.attackers import check_attackers
    from anon_tune.recipe import AuditRecipe

    folders = {
        "--anonymized": anonymized,
        "--anonymized-suffix": anonymized_suffix,
        "--pattern": pattern,
        "--action": action,
        "--private": private or None,
        "--group": group,
        "--test-groups": test_groups or None,
        "--val-groups": val_groups or None,
        "--val-fraction": val_fraction,
        "--num-frames": num_frames,
        "--size": size,
        "--skip-bad": skip_bad or None,
    }
    subjects = {"--trial": trial, "--method": method, "--file": file, "--original": original}
    audit_subject.check_options(subjects, {"STUDY": study, "--clips": clips, **folders})
    options = {"num_seeds": seeds, "codec": codec, "crf": crf}  # they count more than the same name under --set
    params = dict(map(parse_setting, set_ or ())) | {name: v for name, v in options.items() if v is not None}
    effort = AuditRecipe.from_params(params, "--set")
    check_attackers(effort.attackers, "--set")
    if crf is not None and not effort.codec:
        raise UsageError("--crf", "needs a codec", crf, "Add --codec h264")
    if output is not None:
        _check_writable(output)
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        case = audit_subject.find_case(study, subjects, clips, folders, cache, Path(scratch))
        if case.kept is not None and not case.kept.folder.is_remote:
            _check_writable(case.kept.path)
        certificate = _run(case, effort, cache, device)
        document = certificate.to_json()
        if output is not None:
            File.at(output).write(document.encode())
        if case.kept is not None:
            case.kept.write(document.encode())
    if format is Format.JSON:
        print(document, end="")
    else:
        from anon_tune.cli.audit_view import print_certificate

        print_certificate(certificate)
    if certificate.status == "REFUSED":
        raise typer.Exit(1)


def _run(case: audit_subject.Case, effort: AuditRecipe, cache: Path | None, device: str) -> Certificate:
    from anon_tune.cli.audit_view import AuditProgress
    from anon_tune.commands.audit import audit as run_audit
    from anon_tune.networks import pick_device

    where = pick_device(device)
    kept = _usable_cache(cache, case.cache)
    try:
        with AuditProgress() as progress:
            return run_audit(
                case.anonymized, case.clips, case.clips_name, case.subject, effort, kept, where, progress.show
            )
    except KeyboardInterrupt:
        print(f"Stopped. What raw clips teach is kept in {kept} once it is there; run the same again.", file=sys.stderr)
        raise typer.Exit(130) from None


def _usable_cache(given: Path | None, default: Path) -> Path | None:
    """Return where baselines go: the user's folder, or the default, or the user's cache; None if all are read-only."""
    from anon_tune.clips.node_cache import user_cache

    if given is not None:
        _check_writable(given / "baseline")
        return given
    for folder in (default, user_cache()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    print("warning: no folder for a baseline can be written; name one with --cache.", file=sys.stderr)
    return None


def _check_writable(file: Path) -> None:
    """Refuse now what could not be written after an hour of work."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise UsageError(str(file), "must be a file", "a folder", "Name another")
        tempfile.TemporaryFile(dir=file.parent).close()
    except OSError as error:
        raise UsageError(str(file), "cannot be written", remedy="Name another place", cause=error.strerror) from None
