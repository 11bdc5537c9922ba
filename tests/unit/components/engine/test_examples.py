"""The codec gives the bytes that protobuf gives, and reads back what it wrote."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.engine.decoder import NotUniform, decode_uniform
from components.engine.encoder import varint
from components.engine.examples import (
    ExampleWriter,
    _decode_any,
    decode_examples,
    encode_examples,
    read_batches,
    read_records,
    split_directory,
    to_list_columns,
)
from components.engine.tfrecord import frame, read_file


def odd_batch() -> pa.RecordBatch:
    """Values at the borders of every varint length, long and empty text, and missing values in each column."""
    borders = [0, 1, -1, 127, 128, 2**14 - 1, 2**14, 2**31, 2**62, -(2**63), 2**63 - 1, None]
    floats = [0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 1e-42, 3.4e38, 1e300, None, 7.25, None]
    texts = [b"", b"a", "żółw ☃".encode(), b"x" * 127, b"x" * 128, b"\xff\x00", b"y" * 20_000, None, *[b"z"] * 3, None]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(borders, pa.int64()),
            pa.array(floats, pa.float64()),
            pa.array(texts, pa.binary()),
            pa.nulls(len(borders)),
            pa.array([None] * len(borders), pa.float32()),
            pa.array(["é", None] * 6).dictionary_encode(),
            pa.array([[1, 300], [], None, [-1]] * 3, pa.list_(pa.int64())),
            pa.array([["a", "bb"], [], None, ["c"]] * 3, pa.list_(pa.string())),
            pa.array([[1.5, 2.5], [], None, [0.0]] * 3, pa.list_(pa.float32())),
        ],
        names=["ints", "floats", "texts", "nothing", "all_missing", "größe", "int_lists", "text_lists", "float_lists"],
    )


def as_proto(batch: pa.RecordBatch) -> list[bytes]:
    import tensorflow as tf

    made = {
        "int": lambda values: tf.train.Feature(int64_list=tf.train.Int64List(value=values)),
        "flo": lambda values: tf.train.Feature(float_list=tf.train.FloatList(value=np.float32(values))),
        "tex": lambda values: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[v.encode() if isinstance(v, str) else v for v in values])
        ),
        "not": lambda values: tf.train.Feature(),
    }
    made |= {"all": made["flo"], "grö": made["tex"]}
    records = []
    for row in batch.to_pylist():
        feature = {}
        for name, value in row.items():
            values = value if isinstance(value, list) else [] if value is None else [value]
            feature[name] = made[name[:3]](values)
        records.append(
            tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
        )
    return records


def test_the_bytes_are_those_of_protobuf():
    batch = odd_batch()
    assert encode_examples(batch).to_pylist() == as_proto(batch)


def test_a_slice_of_a_batch_encodes_as_its_rows():
    batch = odd_batch()
    assert encode_examples(batch.slice(3, 5)).to_pylist() == encode_examples(batch).to_pylist()[3:8]


def test_vectors_of_one_width_have_the_bytes_of_protobuf_too():
    width = 40  # longer than a one-byte length can say
    vectors = np.random.default_rng(0).normal(size=(7, width)).astype(np.float32)
    vectors[3, 5] = np.nan
    offsets = pa.array(np.arange(8, dtype=np.int32) * width)
    column = pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width)
    batch = pa.RecordBatch.from_pydict({"flo_lists": column, "flo_fixed": fixed, "int": pa.array(range(7))})
    for part in (batch, batch.slice(2, 4), batch.slice(0, 0)):
        assert encode_examples(part).to_pylist() == as_proto(part)


def test_an_empty_batch_encodes_to_nothing():
    assert encode_examples(odd_batch().slice(0, 0)).to_pylist() == []


def test_a_type_that_examples_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="integers, floats and bytes, not struct"):
        encode_examples(pa.RecordBatch.from_pydict({"a": [{"b": 1}]}))


def test_a_negative_number_takes_ten_bytes():
    assert varint(-1) == b"\xff" * 9 + b"\x01"


def test_what_was_written_is_read_back(tmp_path):
    batch = odd_batch().drop_columns(["nothing"])
    folder = split_directory(tmp_path, "train")
    with ExampleWriter(folder) as writer:
        writer.write(encode_examples(batch))
        writer.write(encode_examples(batch))
    (back,) = read_batches(folder)
    assert writer.count == back.num_rows == 2 * batch.num_rows
    first = back.slice(0, batch.num_rows)
    for name in ("ints", "texts"):
        assert first.column(name).to_pylist() == batch.column(name).to_pylist()
    floats = batch.column("floats").cast(pa.float32(), safe=False)
    np.testing.assert_array_equal(
        first.column("floats").to_numpy(zero_copy_only=False), floats.to_numpy(zero_copy_only=False)
    )
    assert first.column("floats").null_count == floats.null_count
    assert first.column("int_lists").to_pylist() == [[1, 300], [], [], [-1]] * 3
    assert back.schema.field("all_missing").type == pa.float32()


def test_columns_are_picked_in_the_order_asked_for():
    records = encode_examples(odd_batch())
    picked = decode_examples(records, ["texts", "ints", "no_such_column"])
    assert picked.schema.names == ["texts", "ints", "no_such_column"]
    assert picked.schema.types == [pa.binary(), pa.int64(), pa.null()]
    assert decode_examples(records, []).num_rows == 12


def test_nothing_decodes_to_null_columns():
    assert decode_examples(pa.array([], pa.binary()), ["a"]).to_pydict() == {"a": []}


def test_tensorflow_reads_the_files(tmp_path):
    import tensorflow as tf

    records = encode_examples(odd_batch())
    with ExampleWriter(tmp_path) as writer:
        writer.write(records)
    written = tf.data.TFRecordDataset([str(writer.path)], compression_type="GZIP")
    assert list(written.as_numpy_iterator()) == records.to_pylist()


def test_files_that_tensorflow_wrote_are_read(tmp_path):
    import tensorflow as tf

    sent = [b"x" * (17 * i % 3000) for i in range(10_000)]
    for name, kind in (("a.tfrecord", None), ("b.gz", "GZIP")):
        with tf.io.TFRecordWriter(str(tmp_path / name), kind) as writer:
            for record in sent:
                writer.write(record)
    batches = list(read_records(tmp_path, batch_size=512))
    assert max(len(batch) for batch in batches) == 512
    assert [record for batch in batches for record in batch.to_pylist()] == sent * 2


def test_the_same_records_make_the_same_file(tmp_path):
    for name in ("a", "b"):
        with ExampleWriter(tmp_path / name) as writer:
            writer.write(encode_examples(odd_batch()))
    first, second = ((tmp_path / name / "data_tfrecord-00000-of-00001.gz").read_bytes() for name in ("a", "b"))
    assert first == second


def test_a_failed_write_leaves_no_file(tmp_path):
    with pytest.raises(AttributeError), ExampleWriter(tmp_path) as writer:
        writer.write([b"not an array"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 5, 14])
def test_a_cut_off_file_is_refused(tmp_path, cut):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(frame(pa.array([b"one", b"two"])).to_pybytes()[:-cut])
    with pytest.raises(ValueError, match=r"a\.tfrecord ends in the middle of a record"):
        list(read_file(path))


def test_a_cut_off_gzip_file_is_refused(tmp_path):
    with ExampleWriter(tmp_path) as writer:
        writer.write(pa.array([bytes(range(256))] * 50))
    writer.path.write_bytes(writer.path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="cannot be read|ends in the middle"):
        list(read_file(writer.path))


def test_a_changed_byte_is_found_when_checked(tmp_path):
    path = tmp_path / "a.tfrecord"
    data = bytearray(frame(pa.array([b"one", b"two"])).to_pybytes())
    data[13] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="checksum"):
        list(read_file(path, check=True))


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_text("trip_miles,fare\n1,2\n" * 10)
    with pytest.raises(ValueError, match="not a TFRecord"):
        list(read_file(path))


def test_list_columns_have_an_empty_list_where_a_value_is_missing():
    batch = pa.RecordBatch.from_pydict({"a": [1, None], "b": ["x", None], "c": pa.nulls(2), "d": [[1, 2], []]})
    listed = to_list_columns(batch)
    assert listed.to_pydict() == {"a": [[1], []], "b": [[b"x"], []], "c": [None, None], "d": [[1, 2], []]}


def test_reading_and_writing_loads_no_tensorflow():
    code = (
        "import sys, pyarrow as pa\n"
        "from components.engine.examples import decode_examples, encode_examples\n"
        "decode_examples(encode_examples(pa.RecordBatch.from_pydict({'a': [1]})))\n"
        "print(*{'tensorflow', 'apache_beam', 'tfx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_fast_decoder_agrees_with_the_general_one():
    batch = odd_batch().select(["ints", "floats", "texts", "nothing", "all_missing", "größe"])
    for rows in (batch, batch.slice(4, 5), batch.slice(11, 1)):
        records = encode_examples(rows)
        fast, general = decode_uniform(records, None), _decode_any(records)
        assert fast.keys() == general.keys()
        for name, column in fast.items():
            assert column.type == general[name].type
            assert repr(column.to_pylist()) == repr(general[name].to_pylist())
            column.validate(full=True)


@pytest.mark.parametrize(
    "records",
    [
        [b"", b""],
        [b"\n\x00", *encode_examples(pa.RecordBatch.from_pydict({"a": [1]})).to_pylist()],
        encode_examples(pa.RecordBatch.from_pydict({"a": [[1, 2], [3]]})).to_pylist(),
        encode_examples(pa.RecordBatch.from_pydict({"a": [[1.0, 2.0], [3.0]]})).to_pylist(),
        encode_examples(pa.RecordBatch.from_pydict({"a": [["x", "y"], ["z"]]})).to_pylist(),
        [encode_examples(pa.RecordBatch.from_pydict({name: [1]}))[0].as_py() for name in ("ab", "ac")],
        [
            encode_examples(pa.RecordBatch.from_pydict({name: [1]}))[0].as_py()
            for name in ("long_name_1", "long_name_2")
        ],
        [encode_examples(pa.RecordBatch.from_pydict({name: [1]}))[0].as_py() for name in ("a", "bb")],
        [encode_examples(pa.RecordBatch.from_pydict(row))[0].as_py() for row in ({"a": [1]}, {"a": [1], "b": [1]})],
        # Not packed, as old writers do: int64_list { value: 5 } with the tag of a single number.
        [b"\n\x0b\n\t\n\x01a\x12\x04\x1a\x02\x08\x05"],
    ],
)
def test_records_that_differ_are_left_to_the_general_decoder(records):
    import tensorflow as tf

    array = pa.array(records, pa.binary())
    with pytest.raises(NotUniform):
        decode_uniform(array, None)
    decoded = decode_examples(array)
    for record, row in zip(records, decoded.to_pylist(), strict=True):
        features = tf.train.Example.FromString(record).features.feature
        for name, value in row.items():
            values = value if isinstance(value, list) else [] if value is None else [value]
            kind = features[name].WhichOneof("kind")
            assert values == (list(getattr(features[name], kind).value) if kind else [])


@given(st.data())
def test_damaged_records_never_decode_to_something_else(data):
    """Whatever the bytes, the fast decoder says what the general one says, or nothing."""
    batch = pa.RecordBatch.from_pydict({"a": [1, None, 300], "b": ["x", "yy", None], "c": [0.5, 1.5, None]})
    records = encode_examples(batch).to_pylist()
    which = data.draw(st.integers(0, 2))
    damaged = bytearray(records[which])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    records[which] = bytes(damaged)
    array = pa.array(records, pa.binary())
    try:
        fast = decode_uniform(array, None)
    except NotUniform:
        return
    general = _decode_any(array)
    assert {name: repr(column.to_pylist()) for name, column in fast.items()} == {
        name: repr(column.to_pylist()) for name, column in general.items()
    }
