/** The colours of the drawing: the style sheet's, and one for each seat. */

export interface Theme {
  ground: string;
  groundDeep: string;
  line: string;
  soft: string;
  faint: string;
  grid: string;
  wall: string;
  hatch: string;
  own: string;
  bad: string;
  good: string;
  font: string;
  seats: string[];
}

const SEATS = 64;

/** Reads the current theme. */
export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const value = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const isLight = matchMedia("(prefers-color-scheme: light)").matches;
  return {
    ground: value("ground"),
    groundDeep: value("ground-deep"),
    line: value("line"),
    soft: value("soft"),
    faint: value("faint"),
    grid: value("grid"),
    wall: value("wall"),
    hatch: value("hatch"),
    own: value("own"),
    bad: value("bad"),
    good: value("good"),
    font: value("font"),
    seats: Array.from({ length: SEATS }, (_, seat) => seatColour(seat, isLight)),
  };
}

/** Calls `changed` when the user switches between the light and the dark theme. */
export function onThemeChange(changed: () => void): void {
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", changed);
}

/** Hues: far apart for neighbouring seats, and away from the orange of the user's own player. */
const HUES = [155, 345, 105, 300, 195, 20, 130, 275, 0, 175, 320, 92, 218, 8, 143, 330];

/** The colour of a player in a seat; the user's own has one of its own. */
export function colourOf(theme: Theme, seat: number, ownSeat: number | null): string {
  return seat === ownSeat ? theme.own : theme.seats[seat % theme.seats.length];
}

function seatColour(seat: number, isLight: boolean): string {
  const hue = HUES[seat % HUES.length];
  const lightness = (isLight ? 0.48 : 0.86) - (seat % 3) * (isLight ? 0.05 : 0.07);
  return `oklch(${lightness} ${isLight ? 0.15 : 0.13} ${hue})`;
}
