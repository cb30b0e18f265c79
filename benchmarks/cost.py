"""The cost of a million messages: counted calls × public list prices. docs/cost.md explains it.

    make bench                            writes the table to RESULTS.md
    python -m benchmarks --only cost      prints it alone

Nothing is measured here. The calls are those that `deployed` counts; what is assumed stands under
"assumptions". Change an assumption or a price, and the tables follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from benchmarks.measure import Section
from generators.template_file import read_template

MILLION = 1_000_000
HOURS_A_MONTH = 730
MINUTES_A_MONTH = HOURS_A_MONTH * 60
GB = 1024
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Billed quantities of one message or of one month.

    `writes` and `reads` are DynamoDB's units (1 KB written; 4 KB read consistently), not calls.
    """

    api_requests: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    sqs_requests: float = 0
    writes: float = 0
    reads: float = 0
    log_gb: float = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def times(self, number: float) -> Usage:
        return Usage(*(value * number for value in self.values()))

    def values(self) -> list[float]:
        """Return the quantities in the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices, without free tiers, discounts, taxes and data transfer."""

    api_request: float
    invocation: float
    gb_second: float
    sqs_request: float
    write: float
    read: float
    log_gb: float
    secret_month: float
    alarm_month: float
    metric_month: float
    dashboard_month: float
    server_hour: float
    balancer_hour: float
    balancer_unit_hour: float
    database_hour: float
    database_gb_month: float

    def of(self, usage: Usage) -> float:
        """Return the cost of a usage."""
        per_use = (
            self.api_request,
            self.invocation,
            self.gb_second,
            self.sqs_request,
            self.write,
            self.read,
            self.log_gb,
        )
        return sum(u * price for u, price in zip(usage.values(), per_use, strict=True))


US_EAST_1 = Prices(
    api_request=1.00 / MILLION,  # aws.amazon.com/api-gateway/pricing: HTTP API
    invocation=0.20 / MILLION,  # aws.amazon.com/lambda/pricing
    gb_second=0.0000133334,  # the same: Arm
    sqs_request=0.50 / MILLION,  # aws.amazon.com/sqs/pricing: FIFO
    write=0.625 / MILLION,  # aws.amazon.com/dynamodb/pricing/on-demand
    read=0.125 / MILLION,
    log_gb=0.50,  # aws.amazon.com/cloudwatch/pricing
    secret_month=0.40,  # aws.amazon.com/secrets-manager/pricing
    alarm_month=0.10,
    metric_month=0.30,
    dashboard_month=3.00,
    server_hour=0.0168,  # aws.amazon.com/ec2/pricing/on-demand: t4g.small, Linux
    balancer_hour=0.0225,  # aws.amazon.com/elasticloadbalancing/pricing: Application
    balancer_unit_hour=0.008,
    database_hour=0.065,  # aws.amazon.com/rds/postgresql/pricing: db.t4g.small, Multi-AZ
    database_gb_month=0.23,  # the same: gp3 storage, Multi-AZ
)
"""US dollars, as known in 2026-11. Prices change: check the pages named here."""

# -- assumptions

MEMORY_GB = {"push": 1.0}
"""As in the template; 0.5 for all the others."""

BATCHES = (1, 10)
"""Messages that share an invocation and its requests to the queue: a quiet stack, a busy one."""

MILLISECONDS = {
    "push": {1: 9, 10: 9},
    "inbound": {1: 40, 10: 400},
    "deliveries": {1: 60, 10: 210},
    "messages": {1: 35, 10: 35},
    "outbound": {1: 195, 10: 450},
}
"""Billed time of one warm invocation with so many messages, without the cold start that precedes a
few. Derived from the CPU time that `make bench` shows (10 ms of a processor are 34 ms of the 0.29
that 512 MB get, 17 ms of the 0.58 of 1 GB), 3 ms of waiting for each call to AWS in the region,
50 ms for the subscriber's response and 150 ms for WeChat's. `push` and `messages` answer one
request each; `inbound` works its batch off in order, `outbound` sends to five conversations in
parallel, `deliveries` to ten subscribers."""

LOG_BYTES = {
    "push": (0, 0),
    "inbound": (243, 0),
    "deliveries": (269, 446),
    "messages": (0, 0),
    "outbound": (243, 344),
}
"""Per invocation (its line of metrics) and per message (our line), each with the 26 bytes that
CloudWatch adds. Lambda writes no lines of its own: the system log level is WARN."""

ACCESS_LOG_BYTES = {"push": 196, "messages": 290}
"""The line that API Gateway logs for each request."""

WRITES_RECEIVED = 4
"""Units: the conversation (1), its move in the index `recent` (2, at most once a minute), the
message (1)."""
READS_RECEIVED = 0.5
"""Units: of the two lists of subscriptions (the merchant's, and that of all) an empty one is read
each time, at half price; the other is in memory."""

WRITES_SENT = 5
"""Units: accepted (2), claimed (1), settled (2); each with the index of unsettled messages. An
`Idempotency-Key` adds one."""
READS_SENT = 3
"""Units: before accepting, the conversation and its unsettled messages (1); the window (1); before
sending, the unsettled messages again (0.5); an empty list of subscriptions (0.5)."""

METRICS = 26
"""As many of our own metrics count something all month. One that counts nothing costs nothing;
those of watched merchants are extra."""

POLLERS = 5
"""Lambda polls each queue with five long polls of 20 s, also when nothing happens."""

DATABASE_GB = 20
"""Storage of the database that the servers need."""


def _in_template(kind: str) -> int:
    return sum(one["Type"] == kind for one in read_template()["Resources"].values())


ALARM_METRICS = sum(
    sum("MetricStat" in one for one in alarm["Properties"].get("Metrics", ())) or 1
    for alarm in read_template()["Resources"].values()
    if alarm["Type"] == "AWS::CloudWatch::Alarm"
)
"""An alarm costs as much for each metric that it watches."""
DASHBOARDS = _in_template("AWS::CloudWatch::Dashboard")
SECRETS = _in_template("AWS::SecretsManager::Secret")
QUEUES = sum(
    one["Type"] == "AWS::SQS::Queue" and "DeadLetter" not in name
    for name, one in read_template()["Resources"].items()
)
"""Nobody polls the queues of dead letters."""

# -- what one message uses


def invocation(name: str, batch: int) -> Usage:
    """Return one message's share of an invocation with `batch` messages."""
    gb_seconds = MILLISECONDS[name][batch] / 1000 * MEMORY_GB.get(name, 0.5)
    per_invocation, per_message = LOG_BYTES[name]
    whole = Usage(invocations=1, gb_seconds=gb_seconds, log_gb=per_invocation / GB / MB)
    return whole.times(1 / batch) + Usage(log_gb=per_message / GB / MB)


def api_request(name: str) -> Usage:
    """Return one request to the HTTP API and the function that answers it."""
    log_gb = ACCESS_LOG_BYTES[name] / GB / MB
    return Usage(api_requests=1, log_gb=log_gb) + invocation(name, 1)


def queue_hop(batch: int) -> Usage:
    """Return sending one message and its share of receiving and deleting a batch."""
    return Usage(sqs_requests=1 + 2 / batch)


def delivery(batch: int) -> Usage:
    """Return one event for one subscriber."""
    return queue_hop(batch) + invocation("deliveries", batch)


def received(batch: int) -> Usage:
    """Return one received message with one subscriber."""
    recorded = Usage(writes=WRITES_RECEIVED, reads=READS_RECEIVED)
    fanned_out = queue_hop(batch) + invocation("inbound", batch) + recorded
    return api_request("push") + fanned_out + delivery(batch)


def sent(batch: int) -> Usage:
    """Return one sent message with one subscriber for its outcome."""
    stored = Usage(writes=WRITES_SENT, reads=READS_SENT)
    attempted = queue_hop(batch) + invocation("outbound", batch)
    return api_request("messages") + stored + attempted + delivery(batch)


# -- what a month costs, before the first message

IDLE = (
    Usage(sqs_requests=QUEUES * POLLERS * 3 * MINUTES_A_MONTH)
    # the sweeper reads an empty index and the list of backlogs a minute; token looks at its row
    + Usage(invocations=2, gb_seconds=2 * 0.05 * 0.5, reads=2 * 0.5 + 1).times(MINUTES_A_MONTH)
)


def month(prices: Prices, messages: float, batch: int) -> float:
    """Return the bundle's cost in a month with as many messages received as sent."""
    standing = SECRETS * prices.secret_month + ALARM_METRICS * prices.alarm_month
    standing += METRICS * prices.metric_month + DASHBOARDS * prices.dashboard_month
    both = received(batch) + sent(batch)
    return standing + prices.of(IDLE + both.times(messages))


def servers_month(prices: Prices) -> float:
    """Return the cost of two always-on servers that run wechatpy behind a load balancer.

    They have no database and no queue: what they hold is lost when one of them restarts.
    """
    hourly = 2 * prices.server_hour + prices.balancer_hour + prices.balancer_unit_hour
    return hourly * HOURS_A_MONTH


def lasting_servers_month(prices: Prices, messages: float, batch: int) -> float:
    """Return the cost of the servers with what they need to keep the same promises.

    A database in two zones, and a FIFO queue for each hop, as here. Not the people who run them.
    """
    database = prices.database_hour * HOURS_A_MONTH + prices.database_gb_month * DATABASE_GB
    hops = queue_hop(batch).times(4 * messages)
    return servers_month(prices) + database + prices.of(hops)


# -- tables

UNITS_NOTE = (
    "From the calls counted above, with one subscription. One message a batch is the worst case "
    "for money; in batches of ten a busy stack shares invocations and queue requests. DynamoDB "
    "bills every index as a write of its own, and a moved index key as two: hence more units than "
    "calls. The quantities are the same in every region: for another one (China's are at "
    "amazonaws.cn, in CNY), put its prices into `benchmarks/cost.py`."
)
MONEY_NOTE = (
    "us-east-1, US dollars, list prices as known in 2026-11 without free tiers, tax and transfer; "
    "**check the price pages**. Assumed, not measured: the billed time of an invocation and the "
    "bytes of a log line, named in docs/cost.md and in `benchmarks/cost.py`. A send with an "
    "`Idempotency-Key` writes one unit more."
)
MONTHS_NOTE = (
    "The standing part is alarms, metrics, secrets, the dashboard, and Lambda's polling of quiet "
    "queues. Not in it: storage of tables, backups and logs, a NAT gateway, and what else "
    "docs/cost.md names. The servers are two t4g.small with wechatpy behind an Application Load "
    "Balancer, always on. Alone they lose what they hold at a restart; the last two columns add "
    "what keeps the same promises: PostgreSQL in two zones (db.t4g.small) and a FIFO queue for "
    "each hop. The people who run servers are in no column."
)
MONTHS = (0, 100_000, MILLION, 10 * MILLION)


def run() -> list[Section]:
    return [_units(), _money(), _months()]


def _usages() -> list[Usage]:
    """Return the columns of the tables: received and sent, for each size of batch."""
    return [use(batch) for use in (received, sent) for batch in BATCHES]


_HEADER = [
    "per million messages",
    *(f"{what}, {size}" for what in ("received", "sent") for size in ("one a batch", "ten")),
]


def _units() -> Section:
    rows = [
        [
            field.name.replace("_", " "),
            *(f"{getattr(usage, field.name) * MILLION:,.0f}" for usage in _usages()),
        ]
        for field in fields(Usage)
        if field.name != "log_gb"
    ]
    rows.append(["log GB", *(f"{usage.log_gb * MILLION:.1f}" for usage in _usages())])
    return Section("Cost: what a million messages use", UNITS_NOTE, _HEADER, rows)


def _money() -> Section:
    rows = [
        [name, *(_dollars(_part(usage, parts)) for usage in _usages())]
        for name, parts in _PARTS.items()
    ]
    rows.append(["**together**", *(_dollars(total(usage)) for usage in _usages())])
    rows.append(["goal", *(f"≤ {_dollars(goal)}" for goal in GOALS)])
    return Section("Cost: in money", MONEY_NOTE, _HEADER, rows)


GOALS = (8.50, 6.00, 11.00, 8.00)
"""For the columns of the table, in US dollars."""


def total(usage: Usage) -> float:
    """Return the cost of a million such messages in us-east-1."""
    return US_EAST_1.of(usage.times(MILLION))


_PARTS = {
    "HTTP API": ["api_requests"],
    "Lambda": ["invocations", "gb_seconds"],
    "SQS": ["sqs_requests"],
    "DynamoDB": ["writes", "reads"],
    "logs": ["log_gb"],
}


def _part(usage: Usage, names: Sequence[str]) -> float:
    return total(Usage(**{name: getattr(usage, name) for name in names}))


def _months() -> Section:
    rows = [
        [
            f"{messages:,} + {messages:,}",
            *(_dollars(month(US_EAST_1, messages, batch)) for batch in BATCHES),
            _dollars(servers_month(US_EAST_1)),
            *(_dollars(lasting_servers_month(US_EAST_1, messages, batch)) for batch in BATCHES),
        ]
        for messages in MONTHS
    ]
    header = [
        "received + sent in a month",
        "this bundle, one a batch",
        "ten",
        "servers alone",
        "servers, database and queue, one a batch",
        "ten",
    ]
    return Section("Cost: a month", MONTHS_NOTE, header, rows)


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"
