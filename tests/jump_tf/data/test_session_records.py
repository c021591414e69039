import dataclasses

import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import encoding
from jump_tf.data import session_records
from tests import records


def test_decode_takes_any_number_of_records(tmp_path, sessions, monkeypatch):
    """Records of one session are the same format as those of many."""
    mine = sessions[schema.VALIDATION]
    for size in (1, 5, 1024):
        monkeypatch.setattr(encoding, "SESSIONS_PER_RECORD", size)
        path = tmp_path / str(size)
        records.write_sessions(str(path), mine)
        written = list(encoding.from_file(path.read_bytes()))
        assert len(written) == -(-len(mine) // size)
        columns = session_records.decode(tf.constant(written))
        for name in (
            schema.ITEMS,
            schema.DWELL_SECONDS,
            schema.DWELL_CENSORED,
        ):
            expected = [list(getattr(each, name)) for each in mine]
            assert columns[name].to_list() == expected
        starts = columns[schema.START_MS].numpy().tolist()
        assert starts == [each.start_ms for each in mine]


def test_a_record_without_cut_sessions_says_nothing_of_them(
    tmp_path, sessions, monkeypatch
):
    """So that records from before there were any read the same."""
    monkeypatch.setattr(encoding, "SESSIONS_PER_RECORD", 3)
    mine = [
        dataclasses.replace(session, session_cut=int(n in (0, 7)))
        for n, session in enumerate(sessions[schema.VALIDATION][:8])
    ]
    records.write_sessions(str(tmp_path / "cut"), mine)
    written = list(encoding.from_file((tmp_path / "cut").read_bytes()))
    says = [schema.SESSION_CUT.encode() in record for record in written]
    assert says == [True, False, True]
    found = session_records.decode(tf.constant(written))[schema.SESSION_CUT]
    assert found.dtype == tf.int64
    assert found.numpy().tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    silent = session_records.decode(tf.constant(written[1:2]))[
        schema.SESSION_CUT
    ]
    assert silent.numpy().tolist() == [0, 0, 0]


def test_written_files_are_read_back_in_order(tmp_path, sessions, monkeypatch):
    monkeypatch.setattr(encoding, "SESSIONS_PER_RECORD", 4)
    mine = sessions[schema.VALIDATION]
    first = dataclasses.replace(mine[0], session_id="Zürich/1", session_cut=1)
    mine = [first, *mine[1:]]
    path = str(tmp_path / encoding.shard_name("train", 0, 1))
    records.write_sessions(path, mine)
    assert list(records.read_sessions([path])) == mine


def test_a_session_has_as_many_dwells_as_clicks():
    with pytest.raises(ValueError, match="must have the same length"):
        schema.Session("a", 0, [2, 3], [1.0], [0, 1])
