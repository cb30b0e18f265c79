"""What a million messages cost: counted calls × public list prices. docs/cost.md explains it.

    make bench                            writes the table to RESULTS.md
    python -m benchmarks --only cost      prints it alone

Nothing here is measured. The calls are those that `deployed` counts, the durations are assumptions;
change either, or a price, and the table follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from benchmarks.measure import Section
from tools.docs.template_file import read_template

MILLION = 1_000_000
HOURS_A_MONTH = 730
MINUTES_A_MONTH = HOURS_A_MONTH * 60
GB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What is paid for, of one message or of one month.

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
        """In the order of the fields."""
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

    def of(self, usage: Usage) -> float:
        """The cost of what was used."""
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
)
"""US dollars, as known in 2026-11. Prices change: check the pages named here."""

# -- assumptions

MEMORY_GB = {"push": 1.0}
"""As in the template; 0.5 for all the others."""

MILLISECONDS = {"push": 15, "inbound": 30, "deliveries": 120, "messages": 45, "outbound": 180}
"""Billed time of one warm invocation with one message: a few ms per AWS call in the region, 100 ms
for the subscriber's answer, 150 ms for WeChat's."""

LOG_KB = 0.6
"""Per invocation: our line, and Lambda's own three."""

METRICS = 26
"""Assumed: as many of our own are counted all month. One that is not counted costs nothing; those
of watched merchants come on top."""

POLLERS = 5
"""Lambda asks each queue with five long polls of 20 s, also when nothing happens."""


def _in_template(kind: str) -> int:
    return sum(one["Type"] == kind for one in read_template()["Resources"].values())


ALARMS = _in_template("AWS::CloudWatch::Alarm")
DASHBOARDS = _in_template("AWS::CloudWatch::Dashboard")
SECRETS = _in_template("AWS::SecretsManager::Secret")
QUEUES = _in_template("AWS::SQS::Queue") // 2
"""Each has a second one for its dead letters, which nobody polls."""

# -- what one message uses


def invocation(name: str) -> Usage:
    """One invocation with one message: the worst case; a batch shares it."""
    gb_seconds = MILLISECONDS[name] / 1000 * MEMORY_GB.get(name, 0.5)
    return Usage(invocations=1, gb_seconds=gb_seconds, log_gb=LOG_KB / GB / GB)


def queue_hop() -> Usage:
    """Sent, received, deleted."""
    return Usage(sqs_requests=3)


FAN_OUT = invocation("inbound") + Usage(reads=0.5)
"""Of the two lists of subscriptions (the merchant's, and that for all), an empty one is read each
time, at half price; the other is in memory."""

DELIVERY = queue_hop() + invocation("deliveries")
"""One event to one subscriber; the subscription's row is in memory."""

RECEIVED = (
    Usage(api_requests=1)
    + invocation("push")
    + queue_hop()
    + FAN_OUT
    # conversation: 1, and 2 in the index `recent` (its key moves once a minute at most); message: 1
    + Usage(writes=3 + 1)
    + DELIVERY
)

SENT = (
    Usage(api_requests=1)
    + invocation("messages")
    # conversation and list of its unsettled messages at half price; window: its latest messages
    + Usage(reads=0.5 + 0.5 + 1)
    + queue_hop()
    + invocation("outbound")
    # the worker looks at the list again, at half price, to keep the order
    + Usage(reads=0.5)
    # table + index unsettled: accepted 1+1, claimed 1, settled 1+1; an Idempotency-Key costs 1 more
    + Usage(writes=2 + 1 + 2)
    # the outcome's way to the subscriber
    + queue_hop()
    + FAN_OUT
    + DELIVERY
)

# -- what a month costs, before the first message

IDLE = (
    Usage(sqs_requests=QUEUES * POLLERS * 3 * MINUTES_A_MONTH)
    # the sweeper reads an empty index a minute; token looks at its row every minute
    + Usage(invocations=2, gb_seconds=2 * 0.05 * 0.5, reads=0.5 + 1).times(MINUTES_A_MONTH)
)


def month(prices: Prices, received: float, sent: float) -> float:
    """What the bundle costs in a month with so many messages."""
    standing = SECRETS * prices.secret_month + ALARMS * prices.alarm_month
    standing += METRICS * prices.metric_month + DASHBOARDS * prices.dashboard_month
    return standing + prices.of(IDLE + RECEIVED.times(received) + SENT.times(sent))


def server_month(prices: Prices) -> float:
    """The alternative: two always-on servers that run wechatpy behind a load balancer.

    Without what it would need to keep the same promises: a database, a queue, somebody on call.
    """
    hourly = 2 * prices.server_hour + prices.balancer_hour + prices.balancer_unit_hour
    return hourly * HOURS_A_MONTH


# -- tables

UNITS_NOTE = (
    "From the calls counted above, one message per batch and one subscription: the worst case "
    "for money. DynamoDB bills every index as a write of its own, and a moved index key as two: "
    "hence more units than calls. These quantities are the same in every region: for another one "
    "(China's are at amazonaws.cn, in CNY), put its prices into `benchmarks/cost.py`."
)
MONEY_NOTE = (
    "us-east-1, US dollars, list prices as known in 2026-11 without free tiers, tax and transfer; "
    "**check the price pages**. Assumed, not measured: the billed time of an invocation "
    "(`MILLISECONDS` in `benchmarks/cost.py`). The server column is two t4g.small and an "
    "Application Load Balancer, always on, running wechatpy: without the database, queue and "
    "operators that it needs to promise the same."
)
MONTHS = ((0, 0), (100_000, 100_000), (MILLION, MILLION), (10 * MILLION, 10 * MILLION))


def run() -> list[Section]:
    return [_units(), _money(), _months()]


def _units() -> Section:
    rows = [
        [field.name.replace("_", " "), *(f"{getattr(u, field.name) * MILLION:,.0f}" for u in both)]
        for field in fields(Usage)
        for both in [(RECEIVED, SENT)]
    ]
    header = ["per million messages", "received", "sent"]
    return Section("Cost: what a million messages use", UNITS_NOTE, header, rows)


def _money() -> Section:
    rows = [
        [name, *(_dollars(_part(usage, parts)) for usage in (RECEIVED, SENT))]
        for name, parts in _PARTS.items()
    ]
    totals = [_dollars(US_EAST_1.of(usage.times(MILLION))) for usage in (RECEIVED, SENT)]
    rows.append(["**together**", *totals])
    header = ["per million messages", "received", "sent"]
    return Section("Cost: in money", MONEY_NOTE, header, rows)


_PARTS = {
    "HTTP API": ["api_requests"],
    "Lambda": ["invocations", "gb_seconds"],
    "SQS": ["sqs_requests"],
    "DynamoDB": ["writes", "reads"],
    "logs": ["log_gb"],
}


def _part(usage: Usage, names: Sequence[str]) -> float:
    only = Usage(**{name: getattr(usage, name) for name in names})
    return US_EAST_1.of(only.times(MILLION))


def _months() -> Section:
    note = (
        "The standing part is alarms, metrics, secrets, the dashboard, and Lambda's polling of "
        "quiet queues. Not in it: storage of tables, backups and logs, a NAT gateway, and what "
        "else docs/cost.md names."
    )
    rows = [
        [
            f"{received:,} + {sent:,}",
            _dollars(month(US_EAST_1, received, sent)),
            _dollars(server_month(US_EAST_1)),
        ]
        for received, sent in MONTHS
    ]
    header = ["received + sent in a month", "this bundle", "two servers with wechatpy"]
    return Section("Cost: a month", note, header, rows)


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"
