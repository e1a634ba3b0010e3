"""`DiskStore`: what it writes comes back or nothing does, within its bound, for its owner only."""

import errno
import json
import logging
import os
import pickle
import shutil
import stat
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from embeddings_for_tests import embedding_of, same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sam_plugins.codec import embedding_from_bytes, embedding_to_bytes, rounded
from sam_plugins.errors import EmbeddingError, ModelError
from sam_plugins.stores import CachedSegmenter, DiskStore, LayeredStore, MemoryStore
from sam_plugins.testing import FakeSegmenter, sample_image
from sam_plugins.types import Embedding


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "embeddings"


@pytest.fixture
def warnings_said(caplog):
    """What the store warned about so far."""
    caplog.set_level(logging.WARNING, logger="sam_plugins.stores")
    return lambda: [record.getMessage() for record in caplog.records]


def store_in(folder, **options):
    return DiskStore(folder, **{"max_bytes": 1 << 24, "min_free_bytes": 0} | options)


def files_in(folder):
    return sorted(folder.glob("*/*.safetensors"))


def put(store, key, **options):
    embedding = embedding_of(key, **options)
    return store.put(embedding.key, embedding)


def only_file(folder):
    (path,) = files_in(folder)
    return path


FEATURES = arrays(
    np.float32,
    array_shapes(min_dims=3, max_dims=3, max_side=5),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(maps=st.dictionaries(st.text(max_size=5), FEATURES, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_features_come_back_to_the_bit_or_rounded_to_half(tmp_path_factory, maps):
    folder = tmp_path_factory.mktemp("property")
    embedding = Embedding(
        features=maps,
        region=(0, 0, 4, 4),
        original_size=(4, 4),
        input_size=(4, 4),
        padded_size=(4, 4),
        encoder_id="e",
        key="k",
    )
    store_in(folder).put("k", embedding)
    told = store_in(folder, storage="fp16").put("k", embedding)
    exact, half = store_in(folder).get("k"), store_in(folder, storage="fp16").get("k")
    assert same(exact, embedding)
    assert same(half, told)
    for name, values in maps.items():
        with np.errstate(over="ignore"):
            expected = values.astype(np.float16).astype(np.float32)
        fits = np.array_equal(np.isinf(expected), np.isinf(values))
        kept = half.features[name]
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(kept, expected if fits else values)
    shutil.rmtree(folder)


class TestHalf:
    def test_takes_half_the_space(self, folder):
        put(store_in(folder), 1, side=64)
        put(store_in(folder, storage="fp16"), 1, side=64)
        half, exact = sorted(path.stat().st_size for path in files_in(folder))
        assert half < 0.52 * exact

    def test_never_answers_for_exact_and_exact_never_for_half(self, folder):
        exact, half = store_in(folder), store_in(folder, storage="fp16")
        put(half, 1)
        assert exact.get("1") is None
        put(exact, 2)
        assert half.get("2") is None

    def test_a_rounded_file_under_an_exact_name_is_refused(self, folder, warnings_said):
        put(store_in(folder, storage="fp16"), 1)
        half = only_file(folder)
        half.rename(half.with_name(half.name.replace("fp16", "fp32")))
        assert store_in(folder).get("1") is None
        assert "encoded again" in warnings_said()[0]

    def test_the_first_answer_is_that_of_later_ones_wherever_it_comes_from(self, folder):
        class Fine(FakeSegmenter):
            def encode(self, image, *, region=None):
                found = super().encode(image, region=region)
                maps = {n: v + np.float32(1 / 3000) for n, v in found.features.items()}
                return Embedding(
                    **{
                        name: getattr(found, name)
                        for name in (
                            "region",
                            "original_size",
                            "input_size",
                            "padded_size",
                            "encoder_id",
                            "key",
                        )
                    },
                    features=maps,
                )

        image, plain = sample_image(30, 40), Fine().encode(sample_image(30, 40))
        expected = rounded(plain, "fp16")
        assert not same(expected, plain)
        layered = LayeredStore(MemoryStore(), store_in(folder, storage="fp16"))
        segmenter = CachedSegmenter(Fine(), layered)
        for found in (
            segmenter.encode(image),
            segmenter.encode(image),
            *segmenter.encode_many([image, image]),
            CachedSegmenter(Fine(), store_in(folder, storage="fp16")).encode(image),
            CachedSegmenter(Fine(), store_in("/dev/null/no", storage="fp16")).encode(image),
        ):
            assert same(found, expected)

    def test_an_unknown_precision_is_named(self, folder):
        with pytest.raises(ModelError, match="int8"):
            DiskStore(folder, storage="int8")


class TestFiles:
    def test_are_for_their_owner_only(self, folder):
        put(store_in(folder), 1)
        with store_in(folder).lock("1", 1):
            pass
        for path in (folder, *folder.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)

    def test_an_embedding_goes_under_its_own_key_only(self, folder):
        with pytest.raises(EmbeddingError, match="own key"):
            store_in(folder).put("2", embedding_of(1))

    def test_making_a_store_writes_nothing(self, folder):
        assert store_in(folder).get("1") is None
        assert not folder.exists()

    def test_a_root_may_be_a_link(self, folder, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
        put(store_in(folder), 1)
        assert same(store_in(folder).get("1"), embedding_of(1))


def header_of(data):
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header, body):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


class TestHostileFiles:
    """Each is as if it were not there, is warned about, and is replaced by the next put."""

    def check(self, folder, data, warnings_said):
        only_file(folder).write_bytes(data)
        store = store_in(folder)
        assert store.get("1") is None
        assert len(warnings_said()) == 1
        assert str(only_file(folder)) in warnings_said()[0]
        put(store, 1)
        assert same(store.get("1"), embedding_of(1))

    @pytest.fixture
    def good(self, folder):
        put(store_in(folder), 1)
        return only_file(folder).read_bytes()

    @pytest.mark.parametrize("share", [0, 0.001, 0.005, 0.2, 0.5, 0.9, 0.999])
    def test_truncated(self, folder, good, share, warnings_said):
        self.check(folder, good[: int(len(good) * share)], warnings_said)

    def test_any_flipped_bit_is_found(self, folder, good):
        store, path = store_in(folder), only_file(folder)
        expected = embedding_of(1)
        for place in range(0, len(good), 7):
            path.write_bytes(
                good[:place] + bytes([good[place] ^ (1 << place % 8)]) + good[place + 1 :]
            )
            found = store.get("1")
            # A space in the header's padding may become other white space, and nothing else.
            assert found is None or same(found, expected)
            assert found is None or place < len(good) - expected.nbytes

    def test_longer_than_written(self, folder, good, warnings_said):
        self.check(folder, good + b"\0" * 64, warnings_said)

    def test_another_windows_embedding(self, folder, good, warnings_said):
        self.check(folder, embedding_to_bytes(embedding_of(2)), warnings_said)

    def test_a_pickle_is_not_opened(self, folder, good, warnings_said, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (open, (str(tmp_path / "executed"), "w"))

        self.check(folder, pickle.dumps(Bomb()), warnings_said)
        assert not (tmp_path / "executed").exists()

    @pytest.mark.parametrize("length", [2**16 + 1, 2**40, 2**64 - 1])
    def test_a_header_that_claims_to_be_huge(self, folder, good, length, warnings_said):
        self.check(folder, struct.pack("<Q", length) + good[8:], warnings_said)

    def test_an_array_that_claims_to_be_huge(self, folder, good, warnings_said):
        header, body = header_of(good)
        header["features.0"]["shape"] = [2**20, 2**20, 2**10]
        self.check(folder, with_header(header, body), warnings_said)

    def test_another_format(self, folder, good, warnings_said):
        header, body = header_of(good)
        content = json.loads(header["__metadata__"]["sam_plugins"])
        header["__metadata__"]["sam_plugins"] = json.dumps(content | {"format": 99})
        self.check(folder, with_header(header, body), warnings_said)

    def test_a_huge_file_is_not_read(self, folder, good, warnings_said):
        with open(only_file(folder), "r+b") as file:
            file.truncate(1 << 40)
        store = store_in(folder)
        assert store.get("1") is None
        assert "bytes, more than" in warnings_said()[0]
        put(store, 1)
        assert same(store.get("1"), embedding_of(1))

    def test_a_link_is_not_followed(self, folder, good, tmp_path, warnings_said):
        path, secret = only_file(folder), tmp_path / "secret"
        secret.write_bytes(good)
        path.unlink()
        path.symlink_to(secret)
        store = store_in(folder)
        assert store.get("1") is None
        assert "symbolic link" in warnings_said()[0]
        put(store, 1)
        assert not path.is_symlink()
        assert same(store.get("1"), embedding_of(1))
        assert secret.read_bytes() == good

    def test_a_folder_that_is_a_link_is_neither_read_nor_written(self, folder, good, tmp_path):
        shard = only_file(folder).parent
        shard.rename(tmp_path / "outside")
        shard.symlink_to(tmp_path / "outside")
        (outside,) = (tmp_path / "outside").iterdir()
        outside.write_bytes(embedding_to_bytes(embedding_of(1)))
        os.utime(outside, (1, 1))
        store = store_in(folder, max_bytes=3 * len(good))
        assert store.get("1") is None
        assert same(put(store, 1), embedding_of(1))
        for key in range(2, 9):
            put(store, key)
        assert len(files_in(folder)) >= 2
        assert outside.read_bytes() == good
        assert outside.stat().st_mtime == 1

    @pytest.mark.parametrize("what", ["lock", "folder of locks"])
    def test_a_lock_that_is_a_link_is_not_followed(self, folder, tmp_path, what):
        store = store_in(folder)
        with store.lock("1", 0):
            pass
        (lock,) = folder.glob("locks/*")
        lock.unlink()
        place = lock if what == "lock" else lock.parent
        if place != lock:
            lock.parent.rmdir()
        outside = tmp_path / "outside"
        if place == lock.parent:
            outside.mkdir()
        place.symlink_to(outside)
        with store.lock("1", 0) as held:
            assert held
        assert outside.is_dir() == (place == lock.parent)
        assert not list(outside.glob("*"))

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_a_folder_or_a_pipe_in_its_place(self, folder, good, make, warnings_said):
        path = only_file(folder)
        path.unlink()
        make(path)
        store = store_in(folder)
        assert store.get("1") is None
        assert len(warnings_said()) == 1
        assert same(put(store, 1), embedding_of(1))

    def test_another_encoders_embedding_is_computed_again(self, folder, warnings_said):
        image = sample_image(30, 40)
        plain = FakeSegmenter().encode(image)
        foreign = embedding_of(plain.key)
        store = store_in(folder)
        store.put(foreign.key, foreign)
        for segmenter in (CachedSegmenter(FakeSegmenter(), store), FakeSegmenter()):
            assert same(segmenter.encode(image), plain)
        assert "another encoder" in warnings_said()[0]

    def test_fuzzed_bytes_give_the_error_of_embeddings_in_either_precision(self, good):
        random = np.random.default_rng(3)
        for _ in range(300):
            data = bytearray(good)
            for place in random.integers(0, 600, 3):
                data[place] = random.integers(256)
            for storage in ("fp32", "fp16"):
                try:
                    found = embedding_from_bytes(bytes(data), storage=storage)
                except EmbeddingError:
                    continue
                assert same(found, embedding_of(1))


class TestBound:
    def aged(self, folder, store, keys):
        """Put, each a minute older than the next."""
        now = time.time()
        for age, key in enumerate(reversed(keys)):
            before = set(files_in(folder))
            put(store, key)
            (path,) = set(files_in(folder)) - before
            os.utime(path, (now - 3600 - 60 * age,) * 2)

    def held(self, folder):
        return sum(path.stat().st_size for path in files_in(folder))

    def present(self, folder, keys):
        return [key for key in keys if store_in(folder).get(key) is not None]

    @pytest.fixture
    def size(self, tmp_path):
        put(store_in(tmp_path / "one"), "a")
        return only_file(tmp_path / "one").stat().st_size

    def test_holds_after_every_put(self, folder, size):
        store = store_in(folder, max_bytes=int(5.5 * size))
        for key in range(40):
            put(store, key)
            assert self.held(folder) <= 5.5 * size
            assert store.get(str(key)) is not None
        assert self.held(folder) >= 4 * size

    def test_what_was_used_longest_ago_goes_and_reading_is_use(self, folder, size):
        self.aged(folder, store_in(folder), "abcdefgh")
        assert store_in(folder).get("a") is not None
        store = store_in(folder, max_bytes=int(8.5 * size))
        put(store, "new")
        assert self.present(folder, "abcdefgh") == list("acdefgh")
        assert store.get("new") is not None

    def test_a_smaller_bound_takes_effect(self, folder, size):
        self.aged(folder, store_in(folder), "abcdefgh")
        put(store_in(folder, max_bytes=4 * size), "new")
        assert self.held(folder) <= 4 * size
        assert store_in(folder).get("new") is not None
        assert store_in(folder).get("a") is None

    def test_what_never_fits_drives_nothing_out(self, folder, size, warnings_said):
        self.aged(folder, store_in(folder), "abc")
        store = store_in(folder, max_bytes=4 * size)
        big = embedding_of("big", side=64)
        assert same(store.put("big", big), big)
        assert store.get("big") is None
        assert self.present(folder, "abc") == list("abc")
        assert "no room" in warnings_said()[0]

    def test_several_writers_stay_near_it(self, folder, size):
        stores = [store_in(folder, max_bytes=64 * size) for _ in range(3)]
        for key in range(300):
            put(stores[key % 3], key)
            assert self.held(folder) <= 64 * size * (1 + 3 / 32)

    def test_a_file_that_was_used_since_the_look_stays(self, folder):
        store = store_in(folder)
        put(store, "a")
        (listed,) = store._files.files()
        os.utime(listed.path, (1, 1))
        assert not store._files.remove(listed)
        (listed,) = store._files.files()
        assert store._files.remove(listed)
        assert not store._files.remove(listed)

    def test_space_for_others_is_left(self, folder, size, monkeypatch, warnings_said):
        self.aged(folder, store_in(folder), "abcdefgh")
        usage = shutil.disk_usage(folder)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        put(store_in(folder, min_free_bytes=1000 + 4 * size), "new")
        assert self.held(folder) <= 4 * size
        usage = usage._replace(free=0)
        put(store_in(folder, min_free_bytes=1 << 40), "newer")
        assert store_in(folder).get("newer") is None
        assert "no room" in warnings_said()[0]

    def test_what_dead_writers_left_goes_and_what_is_being_written_stays(self, folder):
        put(store_in(folder), "a")
        shard = only_file(folder).parent
        old, young = (shard / f".{'0' * 40}.{c * 32}.part" for c in "ab")
        foreign = shard / "notes.part"
        for path in (old, young, foreign):
            path.write_bytes(b"half")
        for path in (old, foreign):
            os.utime(path, (time.time() - 7200,) * 2)
        put(store_in(folder), "b")
        assert (old.exists(), young.exists(), foreign.exists()) == (False, True, True)


class TestDiskThatFails:
    @pytest.fixture
    def failing(self, monkeypatch):
        """Let writing break off in the middle with an error of the system."""

        def install(code):
            real = os.replace

            def broken(source, target):
                if str(source).endswith(".part"):
                    raise OSError(code, os.strerror(code), str(source))
                real(source, target)

            monkeypatch.setattr(os, "replace", broken)

        return install

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
    def test_costs_one_warning_and_no_answer(self, folder, failing, code, warnings_said):
        failing(code)
        segmenter = CachedSegmenter(FakeSegmenter(), store_in(folder))
        for seed in range(3):
            image = sample_image(30, 40, seed=seed)
            assert same(segmenter.encode(image), FakeSegmenter().encode(image))
        assert len(warnings_said()) == 1
        assert "SAM_PLUGINS_CACHE" in warnings_said()[0]
        assert not list(folder.glob("*/*.part"))

    def test_a_full_disk_leaves_no_half_file(self, folder, monkeypatch, warnings_said):
        import builtins

        real = builtins.open

        class Full:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *error):
                self.file.close()

            def write(self, data):
                self.file.write(data[: len(data) // 2])
                self.file.flush()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def opened(path, mode="r", **options):
            file = real(path, mode, **options)
            return Full(file) if str(path).endswith(".part") else file

        monkeypatch.setattr(builtins, "open", opened)
        store = store_in(folder)
        assert same(put(store, 1), embedding_of(1))
        assert store.get("1") is None
        assert [path for path in folder.rglob("*") if path.is_file()] == []
        assert "No space left" in warnings_said()[0]

    @pytest.fixture
    def read_only(self, require):
        """A folder with one picture's embedding, as a user sees it who may not write there."""
        root = Path(tempfile.mkdtemp())
        CachedSegmenter(FakeSegmenter(), store_in(root)).encode(sample_image(30, 40))
        places = [root, *root.rglob("*")]
        is_root = os.geteuid() == 0
        for path in places:
            path.chmod(0o500 if path.is_dir() else 0o400)
            if is_root:
                os.chown(path, 65534, -1)
        try:
            if is_root:
                os.seteuid(65534)  # permissions do not bind root
            bound = os.access(root, os.R_OK, effective_ids=True)
            bound = bound and not os.access(root, os.W_OK, effective_ids=True)
            require("a user whom permissions bind", bound)
            yield root
        finally:
            if is_root:
                os.seteuid(0)
            for path in places:
                path.chmod(0o700)
            shutil.rmtree(root)

    @pytest.mark.skipif(os.name == "nt", reason="sets permissions as POSIX has them")
    def test_a_folder_that_may_not_be_written_is_read(self, read_only, warnings_said):
        store = store_in(read_only)
        segmenter = CachedSegmenter(FakeSegmenter(), store)
        known, other = sample_image(30, 40), sample_image(30, 40, seed=1)
        assert segmenter.holds(known)
        for image in (known, other, other):
            assert same(segmenter.encode(image), FakeSegmenter().encode(image))
        assert [e.key for e in segmenter.encode_many([known, other])] == [
            FakeSegmenter().encode(image).key for image in (known, other)
        ]
        assert not segmenter.holds(other)
        assert len(warnings_said()) == 1

    def test_a_file_where_the_folder_should_be(self, folder, warnings_said):
        folder.write_text("in the way")
        segmenter = CachedSegmenter(FakeSegmenter(), store_in(folder))
        for image in (sample_image(30, 40), sample_image(30, 40)):
            assert same(segmenter.encode(image), FakeSegmenter().encode(image))
        assert folder.read_text() == "in the way"
        assert warnings_said()

    def test_locks_that_fail_are_done_without(self, folder, monkeypatch):
        from filelock import FileLock

        def refuse(self, *args, **options):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(FileLock, "acquire", refuse)
        segmenter = CachedSegmenter(FakeSegmenter(), store_in(folder))
        images = [sample_image(30, 40, seed=seed) for seed in range(3)]
        assert [e.key for e in segmenter.encode_many(images)] == [
            FakeSegmenter().encode(image).key for image in images
        ]
        assert all(segmenter.holds(image) for image in images)
