"""Bulk onboarding, against the real routes on the fakes."""

from __future__ import annotations

import csv
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.merchants_app import MerchantsApp
from wechat_kf.wechat import operations
from wechat_kf.wechat.errors import api_error
from wechat_kf_cli.main import run
from wechat_kf_cli.ops import import_merchants
from wechat_kf_cli.ops.import_merchants import (
    DONE,
    FAILED,
    STOPPED,
    UNUSABLE,
    Import,
    summary,
)
from wechat_kf_cli.ops.merchant_results import Outcome, Result, ResultFile
from wechat_kf_cli.ops.merchant_rows import Row, read_rows

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
HEADER = "external_id,account_name,nickname,icon_file\n"


class InProcessApi:
    """The HTTP API without the network."""

    url = "https://api.test"

    def __init__(self) -> None:
        self._app = MerchantsApp()
        self.directory = self._app.directory
        self._lock = threading.Lock()  # as in Lambda: one request at a time
        self.posts = 0
        self.faults: list[Exception | requests.Response] = []

    def post(self, path: str, json: Any = None) -> requests.Response:
        with self._lock:
            return self._post(path, json)

    def _post(self, path: str, json: Any) -> requests.Response:
        self.posts += 1
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        answer = self._app.call("POST", path, json)
        return response(answer["statusCode"], answer["body"], **answer["headers"])


def response(status: int, body: str, **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = body.encode()
    made.headers.update(headers)
    return made


def problem(status: int, code: str, **headers: str) -> requests.Response:
    return response(status, json.dumps({"code": code, "detail": "because"}), **headers)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> InProcessApi:
    made = InProcessApi()
    monkeypatch.setattr(import_merchants, "find_api", lambda *_: made)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "icon.png").write_bytes(PNG)
    return tmp_path / "merchants.csv"


def write(file: Path, *lines: str) -> Path:
    file.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def write_shops(file: Path, count: int) -> Path:
    return write(file, *(f"m-{number},,商店{number:03},icon.png" for number in range(count)))


def results_of(file: Path) -> list[dict[str, str]]:
    with file.with_suffix(".result.csv").open(encoding="utf-8", newline="") as found:
        return list(csv.DictReader(found))


def run_over(api: InProcessApi, file: Path, **options: Any) -> Counter[Outcome]:
    table = read_rows(file)
    assert table.faults == []
    run = Import(
        api, ResultFile(file.with_suffix(".result.csv"), api.url), lambda _: None, **options
    )
    return Counter(result.outcome for result in run.run(table.rows, lambda _: None).values())


def test_every_row_is_registered_and_told(
    api: InProcessApi, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, "m-1,shop_0001,苹果旗舰店,icon.png", "m-2,,香蕉旗舰店,icon.png")
    assert run(["import", str(file)]) == DONE
    first, second = results_of(file)
    assert (first["line"], first["account_name"], first["outcome"]) == (
        "2",
        "shop_0001",
        "registered",
    )
    assert second["account_name"].startswith("m_")
    assert {first["business_id"], second["business_id"]} == set(api.directory.entries)
    shown = capsys.readouterr()
    assert "2/2: 2 registered" in shown.err
    assert "registered       2" in shown.out


def test_excels_byte_order_mark_is_no_part_of_the_first_column(file: Path) -> None:
    file.write_text(HEADER + "m-1,,苹果旗舰店,icon.png\n", encoding="utf-8-sig")
    table = read_rows(file)
    assert (len(table.rows), table.faults) == (1, [])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("m-1,apple,苹果旗舰店,icon.png", "line 2: account_name: must be 6 to 30"),
        ("m-1,,店,icon.png", "line 2: nickname: must be 4 to 30 wide"),
        ("m-1,,苹果 旗舰店,icon.png", "line 2: nickname: must consist of"),
        ("m 1,,苹果旗舰店,icon.png", "line 2: external_id:"),
        (",,苹果旗舰店,icon.png", "line 2: account_name: this or external_id is required"),
        ("m-1,,苹果旗舰店,none.png", "line 2: icon_file: cannot be read"),
        ("m-1,,苹果旗舰店,", "line 2: icon_file: cannot be read"),
        ("m-1,,苹果旗舰店,merchants.csv", "line 2: icon_file: must be a PNG"),
        ("m-1,,苹果旗舰店,large.png", "line 2: icon_file: must be at most 2097152 bytes"),
        (
            "m-1,shop_0001,苹果旗舰店,icon.png\nm-1,shop_0002,苹果旗舰店,icon.png",
            "line 3: external_id: repeats line 2",
        ),
        (
            "m-1,shop_0001,苹果旗舰店,icon.png\nm-2,shop_0001,苹果旗舰店,icon.png",
            "line 3: account_name: repeats line 2",
        ),
    ],
)
def test_every_fault_is_found_before_the_first_call(
    api: InProcessApi, file: Path, capsys: pytest.CaptureFixture[str], line: str, fault: str
) -> None:
    (file.parent / "large.png").write_bytes(PNG + bytes(2 * 1024 * 1024))
    write(file, "m-9,,好的商店,icon.png").write_text(HEADER + line + "\n", encoding="utf-8")
    assert run(["import", str(file)]) == UNUSABLE
    assert fault in capsys.readouterr().err
    assert api.posts == 0


def test_wrong_columns_are_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("external_id,name\n")
    assert run(["import", str(file)]) == UNUSABLE
    told = capsys.readouterr().err
    assert "nickname: this column is missing" in told
    assert "name: unknown column" in told


def test_check_only_sends_nothing(api: InProcessApi, file: Path) -> None:
    assert run(["import", str(write_shops(file, 3)), "--check"]) == DONE
    assert api.posts == 0


def test_a_second_run_has_nothing_left_to_do(api: InProcessApi, file: Path) -> None:
    write_shops(file, 5)
    assert run(["import", str(file)]) == DONE
    first = results_of(file)
    assert run(["import", str(file)]) == DONE
    assert api.posts == 5
    assert results_of(file) == first


def test_a_row_that_changed_since_is_sent_again(api: InProcessApi, file: Path) -> None:
    write(file, "m-1,,苹果旗舰店,icon.png")
    run(["import", str(file)])
    write(file, "m-1,,香蕉旗舰店,icon.png")
    assert run(["import", str(file)]) == DONE
    (result,) = results_of(file)
    assert (result["outcome"], result["reason"]) == (
        "existing",
        "not changed: its nickname is 苹果旗舰店",
    )


def test_a_refused_row_is_told_with_its_reason_and_the_others_go_on(
    api: InProcessApi, file: Path
) -> None:
    api.faults = [problem(400, "nickname_forbidden")]
    assert run(["import", str(write_shops(file, 3)), "--workers", "1"]) == FAILED
    assert [(row["outcome"], row["code"], row["reason"]) for row in results_of(file)] == [
        ("failed", "nickname_forbidden", "because"),
        ("registered", "", ""),
        ("registered", "", ""),
    ]
    assert run(["import", str(file)]) == DONE  # only the failed one is tried again
    assert api.posts == 4


def test_what_may_pass_is_tried_again(api: InProcessApi, file: Path) -> None:
    api.faults = [
        requests.ConnectionError(),
        problem(503, "system_busy"),
        problem(429, "called_too_often", **{"Retry-After": "60"}),
    ]
    waits: list[float] = []
    rows = read_rows(write_shops(file, 1)).rows
    run = Import(api, ResultFile(file.with_suffix(".result.csv"), api.url), waits.append)
    (result,) = run.run(rows, lambda _: None).values()
    assert result.outcome is Outcome.REGISTERED
    assert waits == [1, 2, 60]


def test_without_an_answer_it_gives_the_row_up(api: InProcessApi, file: Path) -> None:
    api.faults = [requests.ReadTimeout("https://secret.example/?token=x")] * 5
    assert run_over(api, write_shops(file, 1)) == {Outcome.FAILED: 1}
    (result,) = results_of(file)
    assert result["reason"] == "no answer: ReadTimeout"


def test_a_hopeless_refusal_stops_the_import_which_can_be_resumed(
    api: InProcessApi, file: Path
) -> None:
    write_shops(file, 10)
    api.directory.before["register"] = api_error(45077, "", operations.REGISTER)
    assert run(["import", str(file), "--workers", "1"]) == STOPPED
    outcomes = Counter(row["outcome"] for row in results_of(file))
    assert outcomes == {"failed": 1, "not tried": 9}
    assert run(["import", str(file)]) == DONE
    assert len(api.directory.entries) == 10


def test_an_interrupt_keeps_what_was_done(api: InProcessApi, file: Path) -> None:
    write_shops(file, 20)
    rows = read_rows(file).rows
    results = ResultFile(file.with_suffix(".result.csv"), api.url)

    def interrupt(counts: Counter[Outcome]) -> None:
        if counts.total() == 3:
            raise KeyboardInterrupt

    found = Import(api, results, lambda _: None, workers=1).run(rows, interrupt)
    registered = sum(result.outcome is Outcome.REGISTERED for result in found.values())
    assert 3 <= registered == api.posts
    assert run_over(api, file) == {Outcome.REGISTERED: 20}
    assert len(api.directory.entries) == api.posts == 20


def test_a_kill_in_the_middle_of_a_line_is_survived(api: InProcessApi, file: Path) -> None:
    run(["import", str(write_shops(file, 3))])
    path = file.with_suffix(".result.csv")
    path.write_text(path.read_text(encoding="utf-8")[:-30], encoding="utf-8")
    assert run_over(api, file) == {Outcome.REGISTERED: 2, Outcome.EXISTING: 1}
    assert len(api.directory.entries) == 3


def test_the_gateways_own_words_are_told_too(api: InProcessApi, file: Path) -> None:
    api.faults = [response(403, '{"message":"Forbidden"}')]
    run_over(api, write_shops(file, 1))
    (result,) = results_of(file)
    assert (result["code"], result["reason"]) == ("http_403", "Forbidden")


def test_the_summary_counts_outcomes_and_reasons() -> None:
    row = Row(2, "m-1", "", "苹果旗舰店", Path("icon.png"))
    result = Result.of
    table = summary(
        {
            2: result(row, Outcome.REGISTERED),
            3: result(row, Outcome.FAILED, code="nickname_forbidden"),
            4: result(row, Outcome.FAILED, code="nickname_forbidden"),
        }
    )
    assert "failed           2  nickname_forbidden" in table
    assert "registered       1" in table


def test_without_an_address_and_a_stack_it_says_what_to_do(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path / "nothing"))
    assert run(["import", str(write_shops(file, 1))]) == UNUSABLE
    assert "wechat-kf up" in capsys.readouterr().err


SHOPS = "m-1,,苹果旗舰店,icon.png\nm-2,,香蕉旗舰店,icon.png\n"


@pytest.mark.parametrize(
    ("encoding", "seen"), [("gb18030", "GB18030"), ("gbk", "GB18030"), ("utf-16", "UTF-16")]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_as_a_chinese_excel_saves_it_is_read(  # noqa: PLR0917
    api: InProcessApi,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    encoding: str,
    seen: str,
    delimiter: str,
) -> None:
    text = (HEADER + SHOPS).replace(",", delimiter).replace("\n", "\r\n")
    file.write_bytes(text.encode(encoding))
    assert run(["import", str(file)]) == DONE
    assert [row["nickname"] for row in results_of(file)] == ["苹果旗舰店", "香蕉旗舰店"]
    assert f"read as {seen}; the first nickname is 苹果旗舰店" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "line 1: file: is an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "CSV UTF-8 (逗号分隔)"),
        (b"\xff\xff\xff\xff", "line 1: file: is not a text file that we can read"),
        (b"external_id\x00,account_name", "line 1: file: is not a text file"),
        (b"", "nickname: this column is missing"),
        ((HEADER + "m-1,,a,b,c,d\n").encode(), "line 2: row: has more cells than there are"),
        ((HEADER.strip() + ",nickname\n").encode(), "nickname: this column is there more than"),
        ((HEADER + '"' + "x" * 200_000).encode(), "line 2: file: cannot be read as a table"),
        (
            (HEADER + "1.23457E+17,,苹果旗舰店,icon.png\n").encode(),
            "line 2: external_id: Excel has",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_do(
    api: InProcessApi, file: Path, capsys: pytest.CaptureFixture[str], content: bytes, fault: str
) -> None:
    file.write_bytes(content)
    assert run(["import", str(file)]) == UNUSABLE
    assert fault in capsys.readouterr().err
    assert api.posts == 0


def test_empty_rows_and_columns_and_backslashes_are_excels_and_no_fault(file: Path) -> None:
    (file.parent / "icons").mkdir()
    (file.parent / "icons" / "a.png").write_bytes(PNG)
    header = HEADER.strip().replace(",", " , ") + ",,\n"
    file.write_text(f"{header}m-1,,苹果旗舰店,icons\\a.png,,\n,,,,,\n , ,,\n", encoding="utf-8")
    table = read_rows(file)
    assert table.faults == []
    assert [row.icon_file for row in table.rows] == [file.parent / "icons" / "a.png"]


@pytest.mark.parametrize("first", ["sep=;\n", ""])
def test_a_hint_for_excel_and_capitals_in_the_header_are_no_fault(file: Path, first: str) -> None:
    text = f"{first}{HEADER.upper()}m-1,,苹果旗舰店,icon.png\n".replace(",", ";")
    file.write_text(text, encoding="utf-8")
    table = read_rows(file)
    assert (len(table.rows), table.faults) == (1, [])


def test_the_line_of_a_row_is_the_files_own(file: Path) -> None:
    write(file, "", '"m-1",,苹果旗舰店,icon.png', "", "m-2,,香蕉旗舰店,icon.png")
    assert [row.line for row in read_rows(file).rows] == [3, 5]


DATE = "Thu, 01 Jan 2026 00:02:00 GMT"


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("60", 60),
        ("0", 0),
        (DATE, 120),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("Thu, 08 Jan 2026 00:00:00 GMT", 300),
        ("999999999", 300),
        ("9" * 400, 1),
        ("soon", 1),
        ("-5", 1),
        ("1e3", 1),
        ("nan", 1),
        ("", 1),
    ],
)
def test_retry_after_may_be_a_date_or_nonsense(
    api: InProcessApi,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    retry_after: str,
    seconds: float,
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_767_225_600.0)
    api.faults = [problem(503, "system_busy", **{"Retry-After": retry_after})]
    waits: list[float] = []
    rows = read_rows(write_shops(file, 1)).rows
    Import(api, ResultFile(file.with_suffix(".result.csv"), api.url), waits.append).run(
        rows, lambda _: None
    )
    assert waits == [seconds]


@pytest.mark.parametrize("body", ["{}", "[]", "<html>", '{"business_id": ""}', '{"nickname": "x"}'])
def test_an_answer_that_names_no_merchant_is_a_failed_row(
    api: InProcessApi, file: Path, body: str
) -> None:
    api.faults = [response(200, body)]
    assert run_over(api, write_shops(file, 2), workers=1) == {
        Outcome.FAILED: 1,
        Outcome.REGISTERED: 1,
    }
    assert results_of(file)[0]["code"] == "unusable_answer"


def test_an_icon_that_went_away_is_a_failed_row(api: InProcessApi, file: Path) -> None:
    rows = read_rows(write_shops(file, 1)).rows
    (file.parent / "icon.png").unlink()
    (result,) = (
        Import(api, ResultFile(file.with_suffix(".result.csv"), api.url))
        .run(rows, lambda _: None)
        .values()
    )
    assert (result.outcome, result.code) == (Outcome.FAILED, "icon_unreadable")
    assert api.posts == 0


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_result_file_cut_anywhere_and_continued_is_read(
    api: InProcessApi, file: Path, cut: int
) -> None:
    (file.parent / "icon.png").write_bytes(PNG)
    rows = read_rows(write_shops(file, 4)).rows
    path = file.with_suffix(".result.csv")
    first = ResultFile(path, api.url)
    first.append(Result.of(rows[0], Outcome.REGISTERED, business_id="1"))
    kept = path.stat().st_size
    reason = 'says "no",\nand why: 店铺'
    first.append(Result.of(rows[1], Outcome.EXISTING, business_id="2", reason=reason))
    with path.open("r+b") as written:
        written.truncate(min(kept + cut, path.stat().st_size))
    ResultFile(path, api.url).append(Result.of(rows[2], Outcome.REGISTERED, business_id="3"))

    done = ResultFile(path, api.url).done(rows)

    assert {rows[0].line, rows[2].line} <= set(done)
    assert done[rows[0].line].business_id == "1"
    assert rows[3].line not in done
    assert run_over(api, file).keys() <= {Outcome.REGISTERED, Outcome.EXISTING}


def test_a_second_run_says_what_was_done_before(
    api: InProcessApi, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["import", str(write_shops(file, 3))])
    assert "earlier run" not in capsys.readouterr().out
    assert run(["import", str(file)]) == DONE
    assert "3 of 3 rows were done by an earlier run" in capsys.readouterr().out


def test_a_result_file_that_cannot_be_written_is_said_in_one_line(
    api: InProcessApi, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = str(file.parent / "none" / "result.csv")
    assert run(["import", str(write_shops(file, 1)), "--result", result]) == UNUSABLE
    assert "the result file cannot be written" in capsys.readouterr().err


def test_the_results_of_another_stack_count_for_nothing(api: InProcessApi, file: Path) -> None:
    """Tried on the local stack, then run on the real one: with the same file beside the CSV."""
    write_shops(file, 2)
    assert run(["import", str(file)]) == DONE
    api.url = "https://production.test"
    assert run(["import", str(file)]) == DONE
    assert api.posts == 4
    assert run(["import", str(file)]) == DONE
    assert api.posts == 4
    assert {row["api"] for row in results_of(file)} == {"https://production.test"}
