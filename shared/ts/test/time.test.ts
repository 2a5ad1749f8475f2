import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock } from "../src/link/clock.js";
import { InputPace } from "../src/link/pace.js";
import { Tail } from "../src/link/tail.js";
import { dice } from "./dice.js";

test("the pong with the shortest round trip sets the clock", () => {
  const clock = new Clock(100);
  // The client's clock is 1,000 ahead; the second pong is delayed.
  pong(clock, 11_000, 10_010, 20);
  pong(clock, 12_000, 11_010, 900);
  assert.equal(clock.due(1, 12_900), 11_000);
  assert.equal(clock.due(3, 12_900), 31_000);
  assert.equal(clock.ticksSince(1, 16_000, 12_900), 0.5);
  assert.equal(clock.rtt, 20);
});

test("jitter never makes the clock jump", () => {
  const clock = new Clock(100);
  const next = dice(3);
  let earlier = { at: 0, due: NaN };
  for (let n = 0; n < 600; n++) {
    const rtt = 120_000 + next(80_000);
    const sent = 1_000_000 + n * 500_000;
    pong(clock, sent, sent - 700_000 + rtt / 2 + next(40_000) - 20_000, rtt);
    const now = { at: sent + rtt, due: clock.due(0, sent + rtt) };
    if (now.at > 4_000_000) {
      assert.ok(Math.abs(now.due - earlier.due) <= (now.at - earlier.at) / 50 + 1);
      assert.ok(Math.abs(now.due - 700_000) < 20_000);
    }
    earlier = now;
  }
});

test("the clock is set again after the machine has slept", () => {
  const clock = new Clock(100);
  for (let n = 0; n < 20; n++) pong(clock, n * 500_000, n * 500_000 + 5_000, 10_000);
  // The client's clock stood still for a minute, and the round trip is longer now.
  pong(clock, 10_000_000, 70_008_000, 16_000);
  assert.equal(clock.due(7_000, 10_016_000), 10_000_000);
});

test("the first pong of another connection is believed at once", () => {
  const clock = new Clock(100);
  for (let n = 0; n < 20; n++) pong(clock, n * 500_000, n * 500_000 + 500, 1_000);
  clock.reconnect();
  // A pace by the clock of another server means nothing yet.
  clock.setPace({ slowdown: 1, tick: 1_000, tickTime: 0 }, 10_000_000);
  assert.equal(clock.due(1_000, 10_000_000), 10_000_000);
  // The match has stood still for 0.3 s.
  pong(clock, 10_000_000, 10_000_500 - 300_000, 1_000);
  assert.equal(clock.due(1_000, 10_001_000), 10_300_000);
});

test("the clock follows a slowdown of the server's ticks", () => {
  const clock = new Clock(100);
  pong(clock, 0, 500, 1_000);
  clock.setPace({ slowdown: 3, tick: 2, tickTime: 20_000 }, 1_000);
  assert.equal(clock.due(2, 1_000), 20_000);
  assert.equal(clock.due(4, 1_000), 80_000);
});

test("a tail is exceeded for the agreed part of the time", () => {
  const tail = new Tail(200);
  const next = dice(1);
  let beyond = 0;
  for (let n = 0; n < 110_000; n++) {
    const sample = next(40_001);
    if (n >= 10_000 && sample > tail.value) beyond++;
    tail.record(sample, 33_333);
  }
  assert.ok(beyond > 400 && beyond < 600, `${beyond} of 100,000 are beyond, instead of 500`);
});

test("an age counts for as long as it lasts, and a lost connection is no stall", () => {
  const tail = new Tail(100);
  for (let n = 0; n < 3_000; n++) tail.recordAge(50_000, 150_000);
  assert.ok(tail.value > 146_000 && tail.value <= 151_000, `${tail.value}`);
  const before = tail.value;
  tail.recordAge(50_000, 9_000_000);
  assert.equal(tail.value, before);
});

test("frequent stalls are covered, and later forgotten", () => {
  const tail = new Tail(300);
  const run = (seconds: number, stalls: number) => {
    for (let n = 0; n < seconds * 30; n++) {
      const isStall = n % 600 === 599 && n / 600 < stalls;
      tail.recordAge(20_000, isStall ? 320_000 : 53_333);
    }
    return tail.value;
  };
  run(60, 0);
  const one = run(20, 1);
  assert.ok(one < 60_000, `${one} after one stall of 0.3 s`);
  const three = run(40, 2);
  assert.ok(three > 280_000, `${three} after three`);
  const soon = run(60, 0);
  assert.ok(soon > 80_000, `${soon}: they may come again`);
  const late = run(1_200, 0);
  assert.ok(late < 60_000, `${late}: they do not`);
});

test("a single stall does not count", () => {
  for (const long of [800_000, 1_900_000]) {
    const tail = new Tail(300);
    const run = (seconds: number, to: number) => {
      for (let n = 0; n < seconds * 30; n++) tail.recordAge(20_000, 53_333);
      tail.recordAge(20_000, to);
      // Snapshots that waited arrive at once; the next one was sent after the first was acknowledged.
      tail.recordAge(to, to);
      tail.recordAge((to * 2) / 3, (to * 2) / 3 + 90_000);
      return tail.value;
    };
    for (const to of [long, 130_000]) {
      const value = run(60, to);
      assert.ok(value < 100_000, `${value} after ${to}, with ${long} before`);
    }
    const again = run(60, long);
    assert.ok(again > 100_000, `${again} after another of ${long}`);
    run(1_200, 53_333);
    const late = run(60, long);
    assert.ok(late < 100_000, `${late}: the others are forgotten`);
  }
  const tail = new Tail(150);
  for (let n = 0; n < 200; n++) {
    tail.record(20_000, 8 * 33_333);
    if (n === 100) tail.recordSteps(1_020_000, 24_000, 33_333);
  }
  assert.ok(tail.value < 30_000, `${tail.value}`);
});

test("inputs are soon made earlier to cover stalls, but at most 1.4 s ahead", () => {
  const after = (stall: number) => aheadAfterStalls(stall) / 1_000;
  assert.ok(after(300_000) > 320 && after(300_000) < 390, `${after(300_000)} ms ahead`);
  assert.equal(after(1_900_000), 1_400);
});

test("a page continues after a pause with the tick that is due", () => {
  const [clock, pace] = [new Clock(30), new InputPace()];
  clock.handlePong({ clientTime: 0, serverTime: 0, held: 0, tick: 0, tickTime: 0 }, 0);
  const ticks = (ms: number) => {
    const made: number[] = [];
    for (let tick = pace.poll(clock, ms * 1_000); tick >= 0; tick = pace.poll(clock, ms * 1_000)) made.push(tick);
    return made;
  };
  // 8 ms ahead of the server, tick 30 has begun there.
  assert.deepEqual(ticks(1_010), []);
  assert.deepEqual(ticks(1_030), [31]);
  assert.deepEqual(ticks(1_130), [32, 33, 34], "a tenth of a second is made up");
  assert.deepEqual(ticks(2_630), [79], "a longer pause is not");
  assert.deepEqual(ticks(2_830), [85], "a page that always runs this slowly makes one input each time");
  pace.reconnect();
  assert.deepEqual(ticks(2_930), [], "a new connection begins like the first, in the middle of a tick");
  assert.deepEqual(ticks(2_960), [89]);
});

/** How far ahead inputs are made if the one-way delay is 50 ms, and `stall` longer every 20 s. */
function aheadAfterStalls(stall: number): number {
  const [clock, pace] = [new Clock(30), new InputPace()];
  clock.handlePong({ clientTime: 0, serverTime: 0, held: 0, tick: 0, tickTime: 0 }, 0);
  for (let millis = 0, seq = 0; millis < 150_000; millis += 5) {
    for (let tick = pace.poll(clock, millis * 1_000); tick >= 0; tick = pace.poll(clock, millis * 1_000)) {
      pace.recordInput(++seq);
      // The server reports a lead every 8 ticks.
      const way = seq % 600 === 0 ? 50_000 + stall : 50_000;
      if (seq % 8 === 0) pace.handleLead(Math.max(pace.ahead - way, -2_000_000), seq, 33_333);
    }
  }
  return pace.ahead;
}

test("a reloaded page forgets a long initial delay as soon as a new one", () => {
  const ahead = (seq: number) => {
    const [clock, pace] = [new Clock(30), new InputPace()];
    clock.handlePong({ clientTime: 0, serverTime: 100_000, held: 0, tick: 3, tickTime: 100_000 }, 200_000);
    for (let millis = 200; millis < 20_000; millis += 5) {
      for (let tick = pace.poll(clock, millis * 1_000); tick >= 0; tick = pace.poll(clock, millis * 1_000)) {
        pace.recordInput(++seq);
        const lead = pace.ahead - (millis < 600 ? 100_000 : 30_000);
        if (seq % 8 === 0) pace.handleLead(Math.floor(lead / 2_000) * 2_000, seq, 33_333);
      }
    }
    return pace.ahead;
  };
  assert.ok(ahead(5_000) < 60_000, `${ahead(5_000)} us ahead, where the one-way delay is 30 ms`);
  assert.equal(ahead(5_000), ahead(0));
});

test("inputs arrive just in time over any network", () => {
  for (const [way, jitter] of [[1_000, 100], [30_000, 3_000], [60_000, 40_000], [150_000, 10_000]]) {
    checkPace(way, jitter);
  }
});

/** Checks the pace of inputs with a one-way delay of `way`, and up to `jitter` more. */
function checkPace(way: number, jitter: number): void {
  const [clock, pace, next] = [new Clock(30), new InputPace(), dice(7)];
  const due = (tick: number) => (tick * 1_000_000) / 30;
  let [late, made, waited, least, reportedAt] = [0, 0, 0, Infinity, 0];
  for (let millis = 1_000; millis < 120_000; millis++) {
    const now = millis * 1_000;
    if (millis % 500 === 0) {
      const tick = Math.floor((millis * 30) / 1_000);
      clock.handlePong({ clientTime: now - 2 * way, serverTime: now - way, held: 0, tick, tickTime: due(tick) }, now);
    }
    for (let tick = pace.poll(clock, now); tick >= 0; tick = pace.poll(clock, now)) {
      pace.recordInput(tick);
      const lead = due(tick) - now - way - next(jitter);
      least = Math.min(least, lead);
      if (tick - reportedAt >= 8) {
        pace.handleLead(Math.floor(least / 2_000) * 2_000, tick, clock.interval);
        [least, reportedAt] = [Infinity, tick];
      }
      if (millis <= 20_000) continue;
      made++;
      if (lead < 0) late++;
      waited += Math.max(lead, 0);
    }
  }
  assert.ok(made >= 2_995 && made <= 3_005, `${made} inputs in 100 s`);
  assert.ok(late < 30, `${late} of ${made} inputs came too late`);
  assert.ok(waited / made < jitter + 12_000, `inputs wait for ${waited / made} us`);
}

/** Passes a pong to the clock. `matchTime` is how long the match has run when the ping arrives. */
function pong(clock: Clock, clientTime: number, matchTime: number, rtt: number): void {
  const tick = Math.floor(matchTime / 10_000);
  clock.handlePong({ clientTime, serverTime: matchTime, held: 0, tick, tickTime: tick * 10_000 }, clientTime + rtt);
}
