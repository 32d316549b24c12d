"""Images inside zip and tar archives, read in place and never extracted.

No file stays open between two reads: the place of each member is noted once, and a read opens the
archive, goes there and closes it again. So the sets are picklable and safe in any number of
processes and threads.
"""

import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Unpack

from loopyvq.data.base import EncodedImageSet, ReadingOptions, folder_classes, folder_labels
from loopyvq.data.decoding import BrokenImageError
from loopyvq.data.folder import MAX_FILE_BYTES, is_image_name
from loopyvq.errors import DataError

__all__ = ["MAX_COMPRESSED_TAR_BYTES", "TarImages", "ZipImages"]

MAX_COMPRESSED_TAR_BYTES = 4 * 2**30

_LOCAL_HEADER_BYTES = 30  # APPNOTE.TXT 4.3.7, up to the name and the extra field
_ENCRYPTED = 0x1


class _Member(NamedTuple):
    name: str
    offset: int  # bytes: of the local header (zip) or the data (tar)
    stored_bytes: int  # as it lies in the archive
    num_bytes: int
    refusal: str = ""  # why it cannot be read, if so
    method: int = zipfile.ZIP_STORED
    crc: int = 0


class _ArchiveImages(EncodedImageSet):
    def __init__(
        self, path: str | Path, *, inside: str = "", **options: Unpack[ReadingOptions]
    ) -> None:
        super().__init__(**options)
        self.path = Path(path)
        self.inside = PurePosixPath(inside)
        try:
            listed = self._list_members()
        except DataError:
            raise
        # zipfile and tarfile fail in arbitrary ways on arbitrary bytes.
        except Exception as error:
            # A bad checksum is an OSError too, but without the system's own words.
            if isinstance(error, OSError) and error.strerror:
                raise DataError(f"cannot open the archive {path}: {error.strerror}") from error
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"the archive {path} is damaged: {reason}") from error
        # Some archives name their members from the root of a disk.
        members = [member._replace(name=member.name.lstrip("/")) for member in listed]
        below = [member for member in members if self._is_inside(member.name)]
        if not below:
            where = f" in {inside}" if members and inside else ", only other files or none"
            raise DataError(f"the archive {path} holds no images{where}")
        self._members = tuple(sorted(below, key=lambda member: member.name))
        self._keys = tuple(self._below(member.name) for member in self._members)
        self._labels = folder_labels(self._keys)
        self.class_names = folder_classes(self._keys)

    def _list_members(self) -> list[_Member]:
        raise NotImplementedError

    def _read_member(self, member: _Member) -> bytes:
        raise NotImplementedError

    def _is_inside(self, name: str) -> bool:
        path = PurePosixPath(name)
        return path == self.inside or self.inside in path.parents

    def _below(self, name: str) -> str:
        """Give the path of a member as seen from the folder that was opened."""
        if self.inside == PurePosixPath():
            return name
        path = PurePosixPath(name)
        return path.name if path == self.inside else path.relative_to(self.inside).as_posix()

    def __len__(self) -> int:
        return len(self._members)

    def key(self, index: int) -> str:
        """Name an image by its path inside the archive, below the folder that was opened."""
        return self._keys[index]

    def label(self, index: int) -> int | None:
        """Tell the class of an image by its folder's name."""
        return self._labels[index]

    def read_bytes(self, index: int) -> bytes:
        """Read one member, see `EncodedImageSet.read_bytes`."""
        member = self._members[index]
        if member.refusal:
            raise BrokenImageError(member.name, member.refusal)
        if member.num_bytes > MAX_FILE_BYTES or member.stored_bytes > MAX_FILE_BYTES:
            reason = f"it has {member.num_bytes} bytes, more than the allowed {MAX_FILE_BYTES}"
            raise BrokenImageError(member.name, reason)
        try:
            return self._read_member(member)
        except (OSError, zlib.error, EOFError) as error:
            reason = f"its place in {self.path} is damaged: {error}"
            raise BrokenImageError(member.name, reason) from error


class ZipImages(_ArchiveImages):
    """The images in a zip archive, sorted by path; labels come from the folders' names.

    Args:
        path: the archive. Members must be stored or deflated, as nearly all are.
        inside: a folder of the archive, or one image in it; by default all of it.
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`.

    Raises:
        DataError: the archive is missing, damaged, or holds no images.
    """

    def _list_members(self) -> list[_Member]:
        with zipfile.ZipFile(self.path) as archive:
            infos = [info for info in archive.infolist() if is_image_name(info.filename)]
        return [
            _Member(
                name=info.filename,
                offset=info.header_offset,
                stored_bytes=info.compress_size,
                num_bytes=info.file_size,
                refusal=_refuse_zip_member(info),
                method=info.compress_type,
                crc=info.CRC,
            )
            for info in infos
        ]

    def _read_member(self, member: _Member) -> bytes:
        # zipfile would read the whole directory again at every opening.
        with self.path.open("rb") as file:
            file.seek(member.offset)
            header = file.read(_LOCAL_HEADER_BYTES)
            if len(header) < _LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
                raise EOFError("there is no member")
            name_bytes = int.from_bytes(header[26:28], "little")
            extra_bytes = int.from_bytes(header[28:30], "little")
            file.seek(name_bytes + extra_bytes, 1)
            blob = file.read(member.stored_bytes)
        if member.method == zipfile.ZIP_DEFLATED:
            # The bound holds even where the declared size is a lie.
            blob = zlib.decompressobj(-zlib.MAX_WBITS).decompress(blob, member.num_bytes + 1)
        if len(blob) != member.num_bytes or zlib.crc32(blob) != member.crc:
            raise EOFError("size or checksum do not fit")
        return blob


def _refuse_zip_member(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"zip compression {info.compress_type} is not supported: use deflate or none"
    return ""


class TarImages(_ArchiveImages):
    """The images in a tar archive, plain or compressed (gzip, bzip2, xz), sorted by path.

    A compressed archive has no way to its middle but through all that lies before, so the still
    encoded images are taken into RAM at opening; a plain one is read in place. Only regular
    members count, no links. Labels come from the folders' names.

    Args:
        path: the archive.
        inside: a folder of the archive, or one image in it; by default all of it.
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`.

    Raises:
        DataError: the archive is missing, damaged, or holds no images, or is compressed and holds
            more than `MAX_COMPRESSED_TAR_BYTES` of them.
    """

    _blobs: dict[int, bytes]

    def _list_members(self) -> list[_Member]:
        self._blobs = {}
        try:
            with tarfile.open(self.path, "r:") as archive:
                members = [_tar_member(info) for info in archive if _is_tar_image(info)]
                self._check_plain_end(archive.offset)
            return members
        except tarfile.ReadError as plain_error:
            with self.path.open("rb") as file:
                start = file.read(6)
            if not start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")):
                raise DataError(f"the archive {self.path} is damaged: {plain_error}") from None
        return self._load_compressed()

    def _check_plain_end(self, offset: int) -> None:
        # tarfile takes a damaged header for the end and would hide the images behind it.
        with self.path.open("rb") as file:
            file.seek(offset)
            if any(file.read(tarfile.BLOCKSIZE)):
                raise DataError(f"the archive {self.path} is damaged at byte {offset}")

    def _load_compressed(self) -> list[_Member]:
        members, total_bytes = [], 0
        with tarfile.open(self.path, "r:*") as archive:
            for info in archive:
                if not _is_tar_image(info):
                    continue
                member = _tar_member(info)
                members.append(member)
                if member.refusal or member.num_bytes > MAX_FILE_BYTES:
                    continue
                total_bytes += member.num_bytes
                if total_bytes > MAX_COMPRESSED_TAR_BYTES:
                    raise DataError(
                        f"the compressed archive {self.path} holds more images than the"
                        f" {MAX_COMPRESSED_TAR_BYTES} bytes kept in RAM: repack it as .tar or .zip"
                    )
                file = archive.extractfile(info)
                self._blobs[member.offset] = file.read() if file is not None else b""
            # The checksum of the compressed stream stands at its very end.
            while archive.fileobj is not None and archive.fileobj.read(2**20):
                pass
        return members

    def _read_member(self, member: _Member) -> bytes:
        if self._blobs:
            return self._blobs[member.offset]
        with self.path.open("rb") as file:
            file.seek(member.offset)
            blob = file.read(member.num_bytes)
        if len(blob) != member.num_bytes:
            raise EOFError("the archive has become shorter")
        return blob


def _is_tar_image(info: tarfile.TarInfo) -> bool:
    return info.isreg() and is_image_name(info.name)


def _tar_member(info: tarfile.TarInfo) -> _Member:
    refusal = "it is stored as a sparse file" if info.issparse() else ""
    return _Member(info.name, info.offset_data, info.size, info.size, refusal)
