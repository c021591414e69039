import pytest

from beam_jobs.options import lists as list_options
from beam_jobs.sources import lines
from beam_jobs.sources.impression_logs import ali_ccp
from beam_jobs.sources.impression_logs import base
from beam_jobs.sources.impression_logs import formats as impression_logs
from beam_jobs.sources.impression_logs import jd_micro as list_jd_micro
from jump_tf import schema

CATEGORIES = [f"cat{number}" for number in range(1, 10)]
HEADERS = {
    "criteo": "\t".join(
        [
            *("timestamp", "uid", "campaign", "conversion"),
            *("conversion_timestamp", "conversion_id", "attribution"),
            *("click", "click_pos", "click_nb", "cost", "cpo"),
            *("time_since_last_click", *CATEGORIES),
        ]
    ),
    "criteo-sequences": "2 0",
    "ali-ccp": "1,0,0,ab,0,",
    "jd-micro": "3+5+7+2+9",
    "impressions": "user_id,session_id,timestamp,step,action_type,reference,"
    "platform,current_filters,impressions,prices,booked",
    "csv": "shelf,who,bought,item,seen,when",
}


def log_format(name, **changes):
    if name == "csv":
        changes = {
            "list_column": "who",
            "time_column": "when",
            "time_unit": "s",
            "click_column": "seen",
            "conversion_column": "bought",
            "feature_columns": ("item", "shelf"),
            **changes,
        }
    return impression_logs.log_format(
        list_options.ListOptions(name, ("log",), "data", **changes)
    )


def parse(name, *rows, **changes):
    parser = log_format(name, **changes).parser("log", HEADERS[name])
    return parser(list(rows), "0/17")


def items(name, *rows, **changes):
    return parse(name, *rows, **changes).items


def criteo_row(click=1, conversion=1, attribution=0):
    outcome = f"{conversion}\t99\t5\t{attribution}\t{click}\t0\t1"
    numbers = "\t".join(str(number) for number in range(11, 20))
    return f"1.5\tu7\t20\t{outcome}\t0.1\t0.2\t-1\t{numbers}"


def test_every_format_names_its_fields():
    shopping = ("campaign", *CATEGORIES)
    assert {name: log_format(name).fields for name in HEADERS} == {
        "criteo": shopping,
        "criteo-sequences": shopping,
        "ali-ccp": (),
        "jd-micro": ("sku", "category", "entrance"),
        "impressions": ("item", "price_rank"),
        "csv": ("item", "shelf"),
    }


def test_criteo_impression():
    numbers = [f"cat{n}={n + 10}" for n in range(1, 10)]
    expected = base.Item("u7", 1500, 1, 0, ["campaign=20", *numbers])
    assert items("criteo", criteo_row()) == [expected]


@pytest.mark.parametrize(
    ("label", "row", "feedback"),
    [
        ("attribution", criteo_row(1, 1, 1), (1, 1)),
        ("attribution", criteo_row(1, 1, 0), (1, 0)),
        ("conversion", criteo_row(1, 1, 0), (1, 1)),
        ("conversion", criteo_row(1, 0, 0), (1, 0)),
        # The visitor bought, but not because of this impression.
        ("attribution", criteo_row(0, 1, 1), (0, 0)),
        ("conversion", criteo_row(0, 1, 1), (0, 0)),
    ],
)
def test_criteo_conversions_are_of_clicks(label, row, feedback):
    (item,) = items("criteo", row, criteo_label=label)
    assert (item.clicked, item.converted) == feedback


def test_criteo_sequence():
    cats = " ".join(str(number) for number in range(2, 12))
    rows = f"0.25 1 {cats}", f"0.5 1 {cats}", f"0.75 0 {cats}"
    found = items("criteo-sequences", "3 1", *rows, sequences_time_unit=60.0)
    assert [item.time_ms for item in found] == [15_000, 30_000, 45_000]
    assert [item.clicked for item in found] == [1, 1, 0]
    assert [item.converted for item in found] == [0, 0, 1]
    assert {item.list_key for item in found} == {"0/17"}
    texts = [
        f"{field}={n + 2}" for n, field in enumerate(("campaign", *CATEGORIES))
    ]
    assert [item.features for item in found] == [texts] * 3


def test_ali_ccp_sample():
    bag = "9\x027\x031.0\x01109_14\x0212\x032.5"
    assert items("ali-ccp", f"55,1,0,ab,2,{bag}") == [
        base.Item("ab", 0, 1, 0, ["9=7", "109_14=12"], [1.0, 2.5])
    ]
    assert items("ali-ccp", "55,0,1,ab,1,9\x027\x031") == [
        base.Item("ab", 0, 0, 1, ["9=7"])
    ]
    assert items("ali-ccp", "55,0,0,ab,0,") == [base.Item("ab", 0, 0, 0, [])]


def test_ali_ccp_common_features():
    parser = ali_ccp.AliCCP(common=True).parser("log", "ab,0,")
    (item,) = parser(["ab,1,101\x0231\x030.5"], "0/1").items
    assert item == base.Item("ab", 0, 0, 0, ["101=31"], [0.5])


def test_jd_views():
    line = (
        "7+5+70+10+3 7+6+70+20+3 7+9+70+5+3 "  # Searched, read, carted.
        "8+4+80+100+1 "  # Looked at out of the cart.
        "7+1+70+2+6 7+3+70+1+6 7+8+70+4+6"  # Again, twice; read to its end.
    )
    record = parse("jd-micro", line)
    views = [item[1:] for item in record.items]
    assert views == [
        (0, 1, 1, ["sku=7", "category=70", "entrance=search"], ()),
        (35_000, 0, 0, ["sku=8", "category=80", "entrance=cart"], ()),
        (135_000, 1, 0, ["sku=7", "category=70", "entrance=home"], ()),
    ]
    assert record.dropped[list_jd_micro.CONTINUED] == 4
    assert len(record.items) + sum(record.dropped.values()) == 7


def test_jd_sessions_are_called_after_their_text():
    first, again, other = (
        items("jd-micro", line)[0].list_key
        for line in ("3+5+7+2+9", "3+5+7+2+9", "3+5+7+2+8")
    )
    assert first == again != other


def test_jd_behaviours_can_be_chosen():
    line = "7+5+70+1+3 7+6+70+1+3 8+5+80+1+1 8+9+80+1+1 9+5+8+1+1 9+10+8+1+1"
    found = items("jd-micro", line, jd_engaged=(9,), jd_satisfied=(10,))
    assert [item.clicked for item in found] == [0, 1, 1]
    assert [item.converted for item in found] == [0, 0, 1]


def test_jd_features_do_not_tell_of_the_outcome():
    """Views that begin alike have the same features, whatever comes of them."""
    tails = ["", " 7+6+70+5+3", " 7+9+70+5+9", " 7+10+70+5+9 7+8+70+1+9"]
    texts = [
        items("jd-micro", f"7+2+70+10+3{tail}")[0].features for tail in tails
    ]
    assert texts == texts[:1] * 4
    # One that begins with an engagement would be known by its missing entry.
    record = parse("jd-micro", "7+6+70+5+3 7+5+70+5+3 8+5+70+5+3")
    assert [item.features[0] for item in record.items] == ["sku=8"]
    assert record.dropped == {
        list_jd_micro.CONTINUED: 0,
        list_jd_micro.NOT_ENTERED: 2,
    }


def page(action="clickout item", reference="b", prices="70|35|70|90", booked=1):
    return f"u,s1,1541.5,3,{action},{reference},AU,,a|b|c|d,{prices},{booked}"


def test_impressions_of_a_page():
    found = items("impressions", page())
    assert [item.features for item in found] == [
        ["item=a", "price_rank=2"],
        ["item=b", "price_rank=1"],
        ["item=c", "price_rank=2"],
        ["item=d", "price_rank=4"],
    ]
    assert [item.clicked for item in found] == [0, 1, 0, 0]
    assert {item[:2] for item in found} == {("s1/0/17", 1_541_500)}
    assert not any(item.converted for item in found)
    named = {"impressions_conversion_column": "booked"}
    booked = items("impressions", page(), **named)
    assert [item.converted for item in booked] == [0, 1, 0, 0]
    assert not any(
        item.converted for item in items("impressions", page(booked=0), **named)
    )


def test_other_steps_show_no_page():
    record = parse("impressions", page("filter selection", prices=""))
    assert record == base.Record([], {"step without a page": 1})


def test_csv_item():
    assert items("csv", 'top,u1,0,"a, b",1,2.5') == [
        base.Item("u1", 2500, 1, 0, ["item=a, b", "shelf=top"])
    ]
    # What is not said stays open.
    assert items("csv", " ,u1,1,a,1,2.5")[0].features == ["item=a", ""]
    plain = {"time_column": None, "conversion_column": None}
    plain["time_unit"] = "ms"
    assert items("csv", "top,u1,1,a,1,soon", **plain) == [
        base.Item("u1", 0, 1, 0, ["item=a", "shelf=top"])
    ]


CATS = " ".join("1" for _ in range(10))


@pytest.mark.parametrize(
    ("name", "rows", "reason"),
    [
        ("criteo", ["1\tu\t2"], "wrong number of columns"),
        ("criteo", [criteo_row(click="x")], "click is not 0 or 1"),
        ("criteo", [criteo_row(attribution=2)], "attribution is not 0 or 1"),
        ("criteo-sequences", [f"1 0 {CATS}"], "no line `length label`"),
        ("criteo-sequences", ["2 0", f"1 0 {CATS}"], "other length than"),
        ("criteo-sequences", ["1 0", "1 0 3 4"], "wrong number of columns"),
        ("criteo-sequences", ["1 0", f"nan 0 {CATS}"], "time out of range"),
        ("criteo-sequences", ["1 2", f"1 0 {CATS}"], "label is not 0 or 1"),
        ("ali-ccp", ["1,0,0,ab,1"], "wrong number of columns"),
        ("ali-ccp", ["1,0,0,ab,2,9\x027\x031"], "unreadable features"),
        ("ali-ccp", ["1,0,0,ab,1,9\x027\x03inf"], "unreadable features"),
        ("ali-ccp", ["1,0,0,ab,1,9\x02\x031"], "unreadable features"),
        ("ali-ccp", ["1,0,0,,1,9\x027\x031"], "no list id"),
        ("jd-micro", ["3+5+7+2"], "wrong number of columns"),
        ("jd-micro", ["3+11+7+2+9"], "unknown behaviour"),
        ("jd-micro", ["3+5+7+-2+9"], "unreadable interval"),
        ("jd-micro", [" "], "no behaviour"),
        ("impressions", [page(prices="1|2|3")], "not as many prices as"),
        ("impressions", [page(prices="1|2|3|?")], "unreadable prices"),
        ("csv", ["top,u1,0,a,1"], "wrong number of columns"),
        ("csv", ["top,u1,0,a,yes,5"], "click is not 0 or 1"),
        ("csv", ["top,u1,,a,1,5"], "conversion is not 0 or 1"),
        ("csv", ["top,,0,a,1,5"], "no list id"),
        ("csv", ["top,u1,0,a,1,soon"], "unreadable time"),
        ("csv", ["t\u2028p,u1,0,a,1,5"], "line break in feature id"),
    ],
)
def test_says_why_a_record_is_bad(name, rows, reason):
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse(name, *rows)


@pytest.mark.parametrize(
    ("name", "first_line", "received"),
    [
        ("criteo", "timestamp\tuid", "timestamp, uid"),
        ("criteo-sequences", "0.5 1 2", "0.5, 1, 2"),
        ("ali-ccp", "1,0,0,ab", "1, 0, 0, ab"),
        ("jd-micro", "3,5,7,2,9", "3,5,7,2,9"),
        ("impressions", "session_id,timestamp", "session_id, timestamp"),
        ("csv", "shelf,who", "shelf, who"),
    ],
)
def test_other_columns_are_refused(name, first_line, received):
    sentence = f"`input` must have the columns .* my.log with {received}"
    with pytest.raises(schema.InputError, match=sentence):
        log_format(name).parser("my.log", first_line)


@pytest.mark.parametrize("block_bytes", [1, 5, 12, 30, 1000])
def test_blocks_end_with_whole_records(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(lines, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "log"
    sizes = [3, 1, 0, 4, 2]
    rows = [
        row for size in sizes for row in (b"%d 0" % size, *[b"a b c"] * size)
    ]
    path.write_bytes(b"".join(b"%s\n" % row for row in rows))
    starts = log_format("criteo-sequences").starts_record
    part = lines.Range(str(path), 0, "")
    blocks = list(lines.read_blocks(part, False, starts))
    found = [lines.split_lines(block.data) for block in blocks]
    assert [row for mine in found for row in mine] == rows
    number = 1
    for block, mine in zip(blocks, found, strict=True):
        assert starts(mine[0])
        assert block.line_number == number
        number += len(mine)
    # Whether the last record is whole shows at the file's end: it is apart.
    assert (len(blocks) == 2) == (block_bytes > path.stat().st_size)
