"""The errors in a cluster file, and notes on what its user still has to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anon_tune.errors import ClusterFileError, suggest

_TO_FILL_IN = re.compile(r"REPLACE[-_]?ME", re.IGNORECASE)
_WORLD = ("0.0.0.0/0", "::/0")
_MAX_NAMES = 12

KeyPath = tuple[str | int, ...]


@dataclass(slots=True)
class Findings:
    """Errors and notes about one file, in the order in which they were found.

    Attributes:
        file: As the user named it.
        errors: What must be corrected.
        notes: What the user of the file still has to do.
    """

    file: str
    errors: list[ClusterFileError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def error(self, path: KeyPath, rule: str, got: object = None, remedy: str = "") -> None:
        """Add an error. The path leads to the value at fault; it is empty if the whole file is."""
        where = f"{self.file}: {dotted(path)}" if path else self.file
        self.errors.append(ClusterFileError(where, rule, got, remedy))

    def note(self, path: KeyPath, text: str) -> None:
        """Add a note."""
        self.notes.append(f"{dotted(path)}: {text}" if path else text)


def dotted(path: KeyPath) -> str:
    """Return a path as text: dots before keys, brackets around positions."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def note_placeholders(document: object, findings: Findings, prefix: KeyPath = ()) -> None:
    """Note every value that its user has to fill in."""
    seen: dict[str, KeyPath] = {}
    for path, value in leaves(document, prefix):
        if isinstance(value, str) and _TO_FILL_IN.search(value):
            seen.setdefault(value, path)
    for value, path in seen.items():
        findings.note(path, f"still to be filled in: {value}")


def leaves(document: object, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Yield every value that is neither a table nor a list, with its path."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from leaves(value, (*prefix, str(key)))
    elif isinstance(document, list):
        for at, value in enumerate(document):
            yield from leaves(value, (*prefix, at))
    else:
        yield prefix, document


def is_world(address_range: object) -> bool:
    """True for a range of addresses that holds every address."""
    return address_range in _WORLD


def check_schema(document: object, schema: Mapping[str, Any], findings: Findings, prefix: KeyPath = ()) -> bool:
    """Check a document against a JSON schema and add one error per fault; return True if there is none."""
    import jsonschema

    before = len(findings.errors)
    validator = jsonschema.Draft7Validator(schema)
    for fault in sorted(validator.iter_errors(document), key=lambda fault: list(map(str, fault.absolute_path))):
        path = (*prefix, *fault.absolute_path)
        found, rule = fault.instance, fault.validator_value
        match fault.validator:
            case "additionalProperties":
                patterns = fault.schema.get("patternProperties", {})
                known = fault.schema.get("properties", {})
                for name in found:
                    if name not in known and not any(re.search(pattern, name) for pattern in patterns):
                        findings.error((*path, str(name)), "unknown key", remedy=did_you_mean(str(name), known))
            case "required":
                for name in rule:
                    if name not in found:
                        findings.error((*path, name), "missing", remedy="Add it")
            case "type":
                findings.error(path, f"must be {_kinds(rule)}", brief(found))
            case "anyOf":
                findings.error(path, f"must be {_kinds([one.get('type', '?') for one in rule])}", brief(found))
            case "enum":
                findings.error(path, f"must be one of {', '.join(map(str, rule))}", brief(found))
            case _:
                findings.error(path, f"breaks the rule '{fault.validator}: {rule}' of the schema", brief(found))
    return len(findings.errors) == before


def did_you_mean(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return a remedy: the nearest known name, the known names if they are few, or to remove the name."""
    text = suggest(name, known)
    return text if len(known) <= _MAX_NAMES or text.startswith("Did") else "Remove it"


def brief(value: object) -> str:
    """Return a value as text of at most 60 characters."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kinds(types: str | Sequence[str]) -> str:
    names = {"integer": "a whole number", "number": "a number", "string": "a string", "boolean": "true or false"}
    names |= {"object": "a table", "array": "a list", "null": "nothing"}
    return " or ".join(names.get(kind, kind) for kind in ([types] if isinstance(types, str) else types))
