import dataclasses

import pytest
import tensorflow as tf

from jump_tf import records
from jump_tf import schema


def test_encode_and_decode_are_inverse(sessions):
    mine = sessions[schema.VALIDATION]
    columns = records.decode(
        tf.constant([records.encode(mine[:5]), records.encode(mine[5:])])
    )
    assert columns[schema.ITEMS].to_list() == [s.items for s in mine]
    assert columns[schema.DWELL_SECONDS].to_list() == [
        s.dwell_seconds for s in mine
    ]
    assert columns[schema.DWELL_CENSORED].to_list() == [
        s.dwell_censored for s in mine
    ]
    assert list(columns[schema.START_MS].numpy()) == [s.start_ms for s in mine]


def test_a_record_of_one_session_is_the_same_format(sessions):
    mine = sessions[schema.VALIDATION][:3]
    packed = records.decode(tf.constant([records.encode(mine)]))
    single = records.decode(tf.constant([records.encode([s]) for s in mine]))
    assert packed[schema.ITEMS].to_list() == single[schema.ITEMS].to_list()


def test_written_files_are_read_back_in_order(tmp_path, sessions, monkeypatch):
    monkeypatch.setattr(records, "SESSIONS_PER_RECORD", 4)
    mine = sessions[schema.VALIDATION]
    mine = [dataclasses.replace(mine[0], session_id="Zürich/1"), *mine[1:]]
    path = str(tmp_path / records.shard_name("train", 0, 1))
    records.write(path, mine)
    assert list(records.read([path])) == mine


def test_a_session_has_as_many_dwells_as_clicks():
    with pytest.raises(ValueError, match="must have the same length"):
        schema.Session("a", 0, [2, 3], [1.0], [0, 1])
