/** The page at `/monitor`: live metrics and events of the server. */

import { element, make, setText } from "./hud/elements.js";
import { onThemeChange, readTheme } from "./draw/theme.js";
import type { Sample, Spans } from "./monitor/feed.js";
import { Plot } from "./monitor/plot.js";
import { follow } from "./net/follow.js";

const FIELDS_SHOWN = 14;
const EVENTS_SHOWN = 12;

/** An event of the feed of all matches. */
interface FeedEvent {
  match: number | null;
  at: number;
  seat?: number;
  name?: string;
  text?: string;
  values?: Record<string, number>;
}

/** The state of a match when the feed begins. */
interface MatchState {
  match: number;
  players: { seat: number; name: string }[];
}

/** Names of players, by match and seat. */
const people = new Map<number, Map<number, string>>();

/** The events that get a line in the list, and its text. */
const TEXTS: Record<string, (event: FeedEvent) => string> = {
  opened: () => "begins",
  ended: () => "is over",
  join: ({ name }) => `${name} joins`,
  leave: ({ name }) => `${name} leaves`,
  away: ({ name }) => `${name} lost the connection`,
  back: ({ name }) => `${name} is back`,
  kill: ({ match, values }) => `${nameOf(match, values?.killer)} takes ${nameOf(match, values?.victim)} down`,
  round_over: ({ values }) => `round ${values?.number} is over`,
  round_start: ({ values }) => `round ${values?.number} begins`,
  chat: ({ name, text }) => `${name}: ${text}`,
  notice: ({ text }) => `notice: ${text}`,
};

const spans = (title: string) =>
  new Plot(
    title,
    [
      { name: "p99", colour: (theme) => theme.own },
      { name: "p50", colour: (theme) => theme.line },
      { name: "max", colour: (theme) => theme.hatch },
    ],
    micros,
  );
const single = (title: string, write: (value: number) => string) =>
  new Plot(title, [{ name: title, colour: (theme) => theme.own }], write);

const tickTime = spans("Tick time");
const lateness = spans("Tick lateness");
const connections = single("Connections", (value) => String(Math.round(value)));
const bytes = single("Sent", (value) => `${amount(value)}B/s`);
const plots = [tickTime, lateness, connections, bytes];

const shards = section("Shards", "two");
const matches = section("Matches", "two");
const fields = section("Bandwidth by field", "wide");
const refusals = section("Refused and closed", "two");
const happenings = section("What happens", "two");

element("plots").append(
  ...plots.map((plot) => plot.section),
  ...[fields, shards, happenings, matches, refusals].map(({ outer }) => outer),
);
const list = make("ol", "", "happenings");
happenings.inner.append(list);
let isLive = false;
follow("v1/monitor", { sample: (data) => show(JSON.parse(data) as Sample) }, () => {
  isLive = false;
  setText("state", "the connection is lost; trying again…");
});
// The feed of all events on the server.
follow("v1/events", {
  state: (data) => setPlayers(JSON.parse(data) as MatchState),
  ...Object.fromEntries(Object.entries(TEXTS).map(([name, text]) => [name, listener(name, text)])),
});
onThemeChange(() => plots.forEach((plot) => plot.draw()));

function show(sample: Sample): void {
  const most = (of: (shard: Sample["shards"][number]) => Spans) => [
    Math.max(...sample.shards.map((shard) => of(shard).p99), 0),
    Math.max(...sample.shards.map((shard) => of(shard).p50), 0),
    Math.max(...sample.shards.map((shard) => of(shard).max), 0),
  ];
  const sum = (of: (shard: Sample["shards"][number]) => number) => sample.shards.reduce((sum, shard) => sum + of(shard), 0);
  tickTime.push(most((shard) => shard.tick_time_us));
  lateness.push(most((shard) => shard.tick_lateness_us));
  connections.push([sum((shard) => shard.connections)]);
  bytes.push([sum((shard) => shard.bytes_per_s)]);
  const theme = readTheme();
  for (const plot of plots) plot.draw(theme);
  if (!isLive) setText("state", "live");
  isLive = true;

  table(
    shards.inner,
    ["Shard", "Matches", "Connections", "Snapshots", "Sent", "Tick time, p99"],
    sample.shards.map((shard, n) => [
      String(n),
      String(shard.matches),
      String(shard.connections),
      `${Math.round(shard.snapshots_per_s)}/s`,
      `${amount(shard.bytes_per_s)}B/s`,
      micros(shard.tick_time_us.p99),
    ]),
  );
  table(
    matches.inner,
    ["Match", "Players", "Seats", "Spectators"],
    sample.matches.map((match) => [match.id, match.players, match.seats, match.spectators].map(String)),
  );
  const reasons = [...new Set([...Object.keys(sample.refused), ...Object.keys(sample.closed)])].sort();
  table(
    refusals.inner,
    ["Reason", "Refused", "Closed"],
    reasons.map((reason) => [reason.replaceAll("_", " "), String(sample.refused[reason] ?? 0), String(sample.closed[reason] ?? 0)]),
  );
  bars(sample.fields);
}

/** Shows the fields that cost most bandwidth. */
function bars(costs: Record<string, number>): void {
  const sorted = Object.entries(costs)
    .filter(([, bits]) => bits > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, FIELDS_SHOWN);
  const all = Object.values(costs).reduce((sum, bits) => sum + bits, 0);
  fields.inner.replaceChildren(
    ...sorted.map(([name, bits]) => {
      const line = make("div", "", "bar");
      const bar = make("i");
      bar.style.width = `${(bits / sorted[0][1]) * 100}%`;
      line.append(make("b", name), bar, make("span", `${amount(bits)}bit/s · ${Math.round((bits / all) * 100)} %`));
      return line;
    }),
  );
  if (sorted.length === 0) fields.inner.append(make("p", "Nothing is being sent.", "empty"));
}

/** Updates the names of players. */
function updateNames(type: string, { match, seat, name }: FeedEvent): void {
  if (match === null) return;
  if (type === "opened") people.set(match, new Map());
  else if (type === "ended") people.delete(match);
  else if (type === "leave") people.get(match)?.delete(seat!);
  else if (type === "join") people.get(match)?.set(seat!, name!);
}

function setPlayers({ match, players }: MatchState): void {
  people.set(match, new Map(players.map(({ seat, name }) => [seat, name])));
}

/** The name of a player, or the seat's number for a computer player and for one whose join this page has missed. */
function nameOf(match: number | null, seat: number | undefined): string {
  return people.get(match ?? -1)?.get(seat ?? -1) ?? `seat ${(seat ?? 0) + 1}`;
}

/** A listener for one type of event, which adds a line with this text at the top of the list. */
function listener(type: string, text: (event: FeedEvent) => string): (data: string) => void {
  return (data) => {
    const event = JSON.parse(data) as FeedEvent;
    updateNames(type, event);
    const line = make("li");
    const where = event.match === null ? "server" : `match ${event.match}`;
    line.append(make("span", new Date(event.at).toLocaleTimeString()), make("span", where), text(event));
    list.prepend(line);
    while (list.children.length > EVENTS_SHOWN) list.lastElementChild?.remove();
  };
}

function table(place: HTMLElement, heads: string[], lines: string[][]): void {
  const key = JSON.stringify(lines);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  const row = (tag: string, cells: string[]) => {
    const line = make("tr");
    line.append(...cells.map((cell) => make(tag, cell)));
    return line;
  };
  const made = make("table");
  made.append(row("th", heads), ...lines.map((cells) => row("td", cells)));
  place.replaceChildren(lines.length > 0 ? made : make("p", "None.", "empty"));
}

function section(title: string, className = "") {
  const outer = make("section", "", className);
  const inner = make("div");
  outer.append(make("h2", title), inner);
  return { outer, inner };
}

function micros(value: number): string {
  return value < 1_000 ? `${Math.round(value)} µs` : `${(value / 1_000).toFixed(value < 10_000 ? 1 : 0)} ms`;
}

/** A number with an SI prefix. */
function amount(value: number): string {
  if (value < 1_000) return `${Math.round(value)} `;
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} k` : `${(value / 1e6).toFixed(1)} M`;
}
