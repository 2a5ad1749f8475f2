//! Recordings of pedestrians: a text file with lines of `id frame x y z`, in centimetres.

use std::collections::BTreeMap;

use tickwire_shared::{
    ids::{EntityId, Tick},
    rows::Rows,
    schema::{Field, Predict, Schema},
    time::TickRate,
};

use super::{Recording, Sampling, Snapshot};

/// The frame rate, unless a comment in the file says otherwise.
const FRAME_HZ: u16 = 25;

pub(super) fn read(bytes: &[u8], sampling: &Sampling) -> Result<Recording, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is neither .rltr nor text")?;
    let frame_hz = frame_hz(text).ok_or("its frame rate is not a number of frames per second")?;
    let hz = sampling.rate.map_or(frame_hz, TickRate::hz);
    let rate = TickRate::new(hz).ok_or("its frame rate is beyond what a match can have")?;
    let frames = frames(text)?;
    // A game knows the size of its world; here it is the least power of two that is large enough.
    let reach = frames.values().flat_map(BTreeMap::values).flatten();
    let reach = reach.fold(1.0, |reach, position| f64::max(reach, position.abs().into()));
    let max = (reach / sampling.position_cm).ceil().max(1.0) as u32;
    let max = max.checked_next_power_of_two().filter(|max| *max <= 1 << 30);
    let max = max.ok_or("its positions are too large")?.cast_signed();
    let step = sampling.position_cm as f32;
    let fields = ["x", "y"].map(|name| Field::new(name, step, -max, max).predict(Predict::Linear));

    let mut snapshots: Vec<Snapshot> = Vec::new();
    for (frame, people) in frames {
        let tick = Tick((u64::from(frame) * u64::from(hz) / u64::from(frame_hz)) as u32);
        // At a lower rate, a tick has the last of its frames.
        if snapshots.last().is_some_and(|last| last.tick == tick) {
            snapshots.pop();
        }
        let mut rows = Rows::default();
        for (id, position) in people {
            rows.push(EntityId(id), 0, &[0, 1].map(|i| fields[i].quantise(position[i])));
        }
        let updates = rows.len() as u32;
        snapshots.push(Snapshot { tick, rows, updates });
    }
    if snapshots.is_empty() {
        return Err("it has no row of `id frame x y z`".into());
    }
    Ok(Recording { schema: Schema::new("pedestrians").kind("person", fields), rate, snapshots })
}

/// `None` if a comment says what is no rate.
fn frame_hz(text: &str) -> Option<u16> {
    let comment = text.lines().find_map(|line| line.strip_prefix("# framerate:"));
    let Some(comment) = comment else { return Some(FRAME_HZ) };
    let hz: f32 = comment.split_whitespace().next()?.parse().ok()?;
    Some(hz.round() as u16).filter(|hz| *hz > 0)
}

type People = BTreeMap<u32, [f32; 2]>;

fn frames(text: &str) -> Result<BTreeMap<u32, People>, String> {
    let mut frames = BTreeMap::<u32, People>::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (id, frame, position) =
            row(line).ok_or_else(|| format!("line {} is not `id frame x y z`", number + 1))?;
        frames.entry(frame).or_default().insert(id, position);
    }
    Ok(frames)
}

fn row(line: &str) -> Option<(u32, u32, [f32; 2])> {
    let mut words = line.split_whitespace();
    let id = words.next()?.parse().ok()?;
    let frame = words.next()?.parse().ok()?;
    let position = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
    Some((id, frame, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_sampled_at_the_wanted_rate() {
        let rate = TickRate::new(10);
        let read = |head: &str| {
            let text = format!("{head}\n3 0 100 0 0\n3 1 110 0 0\n3 2 120 0 0\n3 5 150 0 0\n");
            read(text.as_bytes(), &Sampling { rate, ..Sampling::default() })
        };
        let recording = read("# framerate: 25 fps").unwrap();
        let of = |snapshot: &Snapshot| (snapshot.tick.0, snapshot.rows.row(0).values[0]);
        assert_eq!(recording.snapshots.iter().map(of).collect::<Vec<_>>(), [(0, 120), (2, 150)]);
        for wrong in ["# framerate: 0.2", "# framerate: fast", "# framerate:"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
