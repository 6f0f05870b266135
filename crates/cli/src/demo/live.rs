//! The demo for people: a canary that advances, and a table that shows it.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    time::Duration,
};

use weft_proxy::Signals;

use super::{
    once::STEPS,
    traffic::{Tally, Traffic, Way},
    world::World,
};
use crate::{
    args::Global,
    exit::{Exit, Failure},
    output::{self, Paint, table},
};

/// Time between two looks at the table.
const LOOK: Duration = Duration::from_millis(500);
/// Looks per step of the canary.
const LOOKS: u32 = 8;

/// One step of the canary in the table.
struct Row {
    percent: u8,
    effect: Duration,
    counts: [Tally; 2],
}

/// Advances the canary, then serves on until a signal.
///
/// # Errors
/// Standard output cannot be written, or an edit does not act.
pub(super) async fn run(world: &mut World, global: Global) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let paint = Paint(global.color.on(&io::stdout()));
    output::print(&introduction(world, paint))?;
    let traffic = Traffic::start(world.gateway, world.mesh, 2, Duration::from_millis(10));
    let advance = advance(world, &traffic);
    tokio::select! {
        advanced = advance => advanced?,
        () = signals.next() => return Ok(Exit::Good),
    }
    output::print(&format!(
        "\nThe canary has arrived. Edit {} and watch your own changes act; Ctrl-C ends it all.\n",
        world.file().display()
    ))?;
    signals.next().await;
    Ok(Exit::Good)
}

fn introduction(world: &World, paint: Paint) -> String {
    let url = |address: SocketAddr| match address.port() {
        80 => format!("http://{}", address.ip()),
        _ => format!("http://{address}"),
    };
    let (gateway, mesh) = (url(world.gateway), url(world.mesh));
    let lines = [
        (format!("curl {gateway}/"), "through the gateway"),
        (
            format!("curl {gateway}/api/orders"),
            "another backend, by path",
        ),
        (
            format!("curl -H 'x-env: canary' {gateway}/"),
            "the canary, by header",
        ),
        (format!("curl -i {gateway}/old"), "a redirect"),
        (
            format!("curl {mesh}/"),
            "the mesh: ClusterIP of Service shop/web",
        ),
        (
            format!("curl {}/", url(world.mesh_for_pay)),
            "the same as a client of namespace pay",
        ),
    ];
    let width = lines
        .iter()
        .map(|(line, _)| line.len())
        .max()
        .unwrap_or_default();
    let lines: Vec<_> = lines
        .iter()
        .map(|(line, what)| format!("  {line:<width$}   {}", paint.dim(format!("# {what}"))))
        .collect();
    let title = paint.bold(format!(
        "The YAML that is served, {}:",
        world.file().display()
    ));
    let yaml = paint.dim(world.yaml().trim_end());
    let hint = paint.bold("Try it from another terminal:");
    format!("{title}\n\n{yaml}\n\n{hint}\n{}\n\n", lines.join("\n"))
}

async fn advance(world: &mut World, traffic: &Traffic) -> Result<(), Failure> {
    let redraws = io::stdout().is_terminal();
    let mut rows: Vec<Row> = Vec::new();
    let mut drawn = 0;
    for percent in STEPS {
        let effect = world.set_canary(percent).await?;
        let start = Way::ALL.map(|way| traffic.of(way).tally());
        for look in 1..=LOOKS {
            tokio::time::sleep(LOOK).await;
            let [gateway, mesh] = Way::ALL.map(|way| traffic.of(way).tally());
            let counts = [gateway.since(start[0]), mesh.since(start[1])];
            let row = Row {
                percent,
                effect,
                counts,
            };
            match rows.last_mut() {
                Some(last) if last.percent == percent => *last = row,
                _ => rows.push(row),
            }
            if redraws {
                drawn = redraw(&rows, drawn)?;
            } else if look == LOOKS {
                output::print(&format!("{}\n\n", drawing(&rows)))?;
            }
        }
    }
    Ok(())
}

/// Draws over the last drawing of so many lines; returns the lines of this one.
fn redraw(rows: &[Row], lines: usize) -> io::Result<usize> {
    let drawing = drawing(rows);
    let up = if lines > 0 {
        format!("\u{1b}[{lines}A")
    } else {
        String::new()
    };
    let mut text = up;
    for line in drawing.lines() {
        text.push_str("\u{1b}[2K");
        text.push_str(line);
        text.push('\n');
    }
    output::print(&text)?;
    Ok(drawing.lines().count())
}

fn drawing(rows: &[Row]) -> String {
    let head = [
        "CANARY",
        "GATEWAY",
        "MESH",
        "REQUESTS",
        "FAILED",
        "EDIT ACTED AFTER",
    ];
    let lines = rows.iter().map(|row| {
        let [gateway, mesh] = row.counts;
        let share = |tally: Tally| match tally.canary_percent() {
            Some(percent) => format!("{percent:.1} %"),
            None => "–".to_owned(),
        };
        [
            format!("{} %", row.percent),
            share(gateway),
            share(mesh),
            (gateway.answered() + mesh.answered()).to_string(),
            (gateway.failed + mesh.failed).to_string(),
            match row.effect {
                Duration::ZERO => "–".to_owned(),
                effect => format!("{} ms", effect.as_millis()),
            },
        ]
    });
    table::whole(head, lines)
}
