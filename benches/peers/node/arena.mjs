// The game that servers are compared with (benches/src/workload.rs), for any object with a player's fields.
export const SIDE = 1000; // metres, and both axes wrap
export const SPEED_MAX = 6; // m/s along each axis
const ACCELERATION = 20; // m/s² along each axis
const HEALTH_MAX = 100;
const [STANDING, RUNNING, FIRING] = [0, 1, 2];

export const NO_INPUT = { seq: 0, mx: 0, my: 0, aim: 0, btn: 0 };

export const spawn = (index) => ({
  x: (index * 61.8 + 7.3) % SIDE,
  y: (index * 38.2 + 3.1) % SIDE,
  vx: 0, vy: 0, yaw: 0, health: HEALTH_MAX, score: 0, anim: STANDING,
});

/** One tick of `dt` seconds. If `ages`, the player loses health in this tick, as once in every second. */
export function step(player, input, dt, ages) {
  player.vx = approach(player.vx, (input.mx / 127) * SPEED_MAX, ACCELERATION * dt);
  player.vy = approach(player.vy, (input.my / 127) * SPEED_MAX, ACCELERATION * dt);
  player.x = wrap(player.x + player.vx * dt);
  player.y = wrap(player.y + player.vy * dt);
  player.yaw = (input.aim * 2 * Math.PI) / 65536;
  if (input.btn & 1) {
    if (player.anim !== FIRING) player.score = (player.score + 1) & 0xffff;
    player.anim = FIRING;
  } else {
    player.anim = Math.abs(player.vx) + Math.abs(player.vy) > 0.1 ? RUNNING : STANDING;
  }
  if (ages) player.health = player.health === 0 ? HEALTH_MAX : player.health - 1;
}

const approach = (from, to, most) => from + Math.max(-most, Math.min(most, to - from));
const wrap = (at) => (at >= SIDE ? at - SIDE : at < 0 ? at + SIDE : at);
