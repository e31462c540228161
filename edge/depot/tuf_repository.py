"""The desk's side of The Update Framework: keys, and what they sign, as files for any web server.

    metadata/   N.root.json, N.targets.json, N.rollout.json, N.snapshot.json, timestamp.json
    targets/    bundles/HASH.NAME, lines/HASH.NAME, HASH.rollout.json

`root` says whose keys may sign what. `targets` signs bundles and line files, and lets `rollout`
sign one file alone: what goes out to whom. So whoever watches a rollout, with a key that lies on a
running machine, can send out what was published, or stop it, and nothing else. `snapshot` and
`timestamp` say what belongs together, and that it is the newest.

Files are only ever added, and timestamp.json is replaced last: a box that reads meanwhile finds the
old state or the new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, Key, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.errors import DepotError, UsageError
from edge.files import write_whole
from edge.fleet import ROLLOUT

ROLES = ("root", "targets", "rollout", "snapshot", "timestamp")
_YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Keys:
    """How many keys a role has, and how many of them must sign."""

    threshold: int
    count: int


@dataclass(frozen=True)
class _State:
    """All metadata of one moment."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    rollout: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]


class TufRepository:
    """Of one depot's folder. Private keys are looked for in `keys`, as ROLE-ID.pem."""

    def __init__(self, folder: Path, keys: Sequence[Path] = ()) -> None:
        for each in keys:
            if each.resolve().is_relative_to(folder.resolve()):
                raise UsageError(f"{each} would be served with {folder}: keep keys elsewhere")
        self._folder, self._keys = folder, keys
        self._metadata, self._targets = folder / "metadata", folder / "targets"

    # --- what is there ---

    def rollout_text(self) -> bytes:
        """What goes out to whom."""
        target = self._state().rollout.signed.targets[ROLLOUT]
        return self._target_path(ROLLOUT, target.hashes["sha256"]).read_bytes()

    def has(self, name: str) -> bool:
        """Whether it was signed already."""
        return name in self._state().targets.signed.targets

    def expiries(self) -> dict[str, datetime]:
        """When boxes will no longer believe each role."""
        state = self._state()
        return {role: getattr(state, role).signed.expires for role in ROLES}

    @property
    def root_path(self) -> Path:
        """What boxes are given by hand."""
        return self._folder / "root.json"

    # --- what changes it ---

    def create(
        self, keys: Mapping[str, Keys], rollout: bytes, fresh: timedelta, now: datetime
    ) -> None:
        """Make the keys, and sign that nothing is there yet but the rollout's text."""
        if self._metadata.exists():
            raise UsageError(f"{self._folder} holds a depot already: name another folder")
        root = Root(expires=_at(now + _YEAR), consistent_snapshot=True)
        targets = Targets(expires=_at(now + _YEAR))
        targets.delegations = Delegations(
            {}, {"rollout": DelegatedRole("rollout", [], 1, terminating=True, paths=[ROLLOUT])}
        )
        for role in ROLES:
            for _ in range(keys[role].count):
                key = self._make_key(role)
                (targets if role == "rollout" else root).add_key(key, role)
            self._role(root, targets, role).threshold = keys[role].threshold
        state = _State(
            Metadata(root),
            Metadata(targets),
            Metadata(Targets(expires=_at(now + _YEAR))),
            Metadata(Snapshot(expires=_at(now + fresh))),
            Metadata(Timestamp(expires=_at(now + fresh))),
        )
        self._sign(state, "root", state.root, now + _YEAR)
        write_whole(self.root_path, state.root.to_bytes())
        self._change(state, {}, rollout, fresh, now, is_first=True)

    def publish(
        self, files: Mapping[str, bytes], rollout: bytes, fresh: timedelta, now: datetime
    ) -> None:
        """Sign more targets, if any, and what goes out now."""
        self._change(self._state(), files, rollout, fresh, now)

    def renew(self, fresh: timedelta, now: datetime) -> None:
        """Sign anew that this is the newest."""
        self._finish(self._state(), fresh, now)

    def replace_keys(self, role: str, fresh: timedelta, now: datetime) -> None:
        """Have keys of the same number in place of a role's, which are no longer believed."""
        state = self._state()
        root, targets = state.root.signed, state.targets.signed
        holder = targets if role == "rollout" else root
        old = list(self._role(root, targets, role).keyids)
        root_before = self._role(root, targets, "root")
        signers_before = self._signers(root.keys[each] for each in root_before.keyids)
        for key_id in old:
            holder.revoke_key(key_id, role)
            holder.add_key(self._make_key(role), role)
        if holder is root:
            # the boxes go from one root to the next by the word of the keys that they know
            self._sign(state, "root", state.root, now + _YEAR, also=signers_before)
        if role in {"targets", "rollout"}:
            self._sign(state, "targets", state.targets, now + _YEAR)
        if role == "rollout":
            self._sign(state, "rollout", state.rollout, now + _YEAR)
        self._finish(state, fresh, now)

    def _change(
        self,
        state: _State,
        files: Mapping[str, bytes],
        rollout: bytes,
        fresh: timedelta,
        now: datetime,
        *,
        is_first: bool = False,
    ) -> None:
        for name, content in files.items():
            state.targets.signed.targets[name] = self._write_target(name, content)
        if files or is_first:
            self._sign(state, "targets", state.targets, now + _YEAR, is_first=is_first)
        state.rollout.signed.targets[ROLLOUT] = self._write_target(ROLLOUT, rollout)
        self._sign(state, "rollout", state.rollout, now + _YEAR, is_first=is_first)
        self._finish(state, fresh, now, is_first=is_first)

    def _finish(
        self, state: _State, fresh: timedelta, now: datetime, *, is_first: bool = False
    ) -> None:
        """What belongs together, and that it is the newest: timestamp.json is the last."""
        snapshot, timestamp = state.snapshot.signed, state.timestamp.signed
        snapshot.meta = {
            "targets.json": MetaFile(state.targets.signed.version),
            "rollout.json": MetaFile(state.rollout.signed.version),
        }
        self._sign(state, "snapshot", state.snapshot, now + fresh, is_first=is_first)
        timestamp.snapshot_meta = MetaFile(snapshot.version)
        self._sign(state, "timestamp", state.timestamp, now + fresh, is_first=is_first)

    # --- files and signatures ---

    def _state(self) -> _State:
        if not self._metadata.is_dir():
            raise UsageError(f"{self._folder} is no depot: make one with `trackside fleet init`")
        try:
            timestamp = Metadata[Timestamp].from_file(str(self._metadata / "timestamp.json"))
            version = timestamp.signed.snapshot_meta.version
            snapshot = Metadata[Snapshot].from_file(str(self._path("snapshot", version)))
            newest = max(
                int(each.name.split(".")[0]) for each in self._metadata.glob("*.root.json")
            )
            return _State(
                Metadata[Root].from_file(str(self._path("root", newest))),
                self._targets_of("targets", snapshot.signed),
                self._targets_of("rollout", snapshot.signed),
                snapshot,
                timestamp,
            )
        except (RepositoryError, OSError, ValueError, KeyError) as error:
            raise DepotError(f"{self._folder} is not whole: {error}: copy it here again") from error

    def _targets_of(self, role: str, snapshot: Snapshot) -> Metadata[Targets]:
        version = snapshot.meta[f"{role}.json"].version
        return Metadata[Targets].from_file(str(self._path(role, version)))

    def _path(self, role: str, version: int) -> Path:
        name = f"{role}.json" if role == "timestamp" else f"{version}.{role}.json"
        return self._metadata / name

    def _target_path(self, name: str, digest: str) -> Path:
        above, _, last = name.rpartition("/")
        return self._targets / above / f"{digest}.{last}"

    def _write_target(self, name: str, content: bytes) -> TargetFile:
        digest = sha256(content).hexdigest()
        path = self._target_path(name, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        return TargetFile.from_data(name, content, ["sha256"])

    def _sign(
        self,
        state: _State,
        role: str,
        metadata: Metadata[Any],
        until: datetime,
        *,
        is_first: bool = False,
        also: Iterable[Signer] = (),
    ) -> None:
        """By all of its keys that are here, which must be as many as it takes, and write it."""
        signed = metadata.signed
        signed.expires = _at(until)
        if not is_first and self._path(role, signed.version).exists():
            signed.version += 1
        held_by = self._role(state.root.signed, state.targets.signed, role)
        holder = state.targets.signed.delegations if role == "rollout" else state.root.signed
        assert holder is not None
        signers = self._signers(holder.keys[each] for each in held_by.keyids)
        if len(signers) < held_by.threshold:
            known = ", ".join(f"{role}-{each[:16]}.pem" for each in held_by.keyids)
            raise UsageError(
                f"{held_by.threshold} of the keys of {role} must sign, and {len(signers)} are "
                f"here: name the folders that hold {known} with --keys"
            )
        metadata.signatures.clear()
        for signer in {each.public_key.keyid: each for each in (*also, *signers)}.values():
            metadata.sign(signer, append=True)
        self._metadata.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(role, signed.version), metadata.to_bytes())

    def _role(self, root: Root, targets: Targets, role: str) -> Role:
        if role != "rollout":
            return root.roles[role]
        assert targets.delegations is not None and targets.delegations.roles is not None
        return targets.delegations.roles[role]

    def _signers(self, keys: Iterable[Key]) -> list[Signer]:
        return [
            Signer.from_priv_key_uri(f"file2:{path}", key)
            for key in keys
            for path in self._found(f"*-{key.keyid[:16]}.pem")
        ]

    def _found(self, pattern: str) -> list[Path]:
        """The first of that name."""
        return [path for folder in self._keys for path in sorted(folder.glob(pattern))][:1]

    def _make_key(self, role: str) -> Key:
        """Its private part for the owner alone, in the first of the folders."""
        if not self._keys:
            raise UsageError("name the folder for the private keys with --keys")
        signer = CryptoSigner.generate_ed25519()
        folder = self._keys[0]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{role}-{signer.public_key.keyid[:16]}.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(signer.private_bytes)
        return signer.public_key


def _at(moment: datetime) -> datetime:
    """As the format has it: without parts of a second."""
    return moment.replace(microsecond=0)
