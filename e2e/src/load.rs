//! A bounded load of one-recipient messages over parallel sessions, one at a time in each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One message to send.
#[derive(Clone)]
pub struct Job {
    pub from: String,
    pub to: String,
    pub octets: Arc<[u8]>,
}

/// Sends jobs until there are none or the server is gone; gives the indices of those that were accepted.
pub async fn run(server: SocketAddr, sessions: usize, jobs: Arc<Vec<Job>>) -> Vec<usize> {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..sessions)
        .map(|_| {
            let (jobs, next) = (Arc::clone(&jobs), Arc::clone(&next));
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                let _ = session(server, &jobs, &next, &mut accepted).await;
                accepted
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap_or_default());
    }
    all
}

async fn session(server: SocketAddr, jobs: &[Job], next: &AtomicUsize, accepted: &mut Vec<usize>) -> std::io::Result<()> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    reply(&mut stream).await?;
    stream.write_all(b"EHLO load.test\r\n").await?;
    reply(&mut stream).await?;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = jobs.get(n) else { break };
        stream.write_all(format!("MAIL FROM:<{}>\r\nRCPT TO:<{}>\r\nDATA\r\n", job.from, job.to).as_bytes()).await?;
        let mut codes = [0; 3];
        for code in &mut codes {
            *code = reply(&mut stream).await?;
        }
        if codes[2] != 354 {
            continue;
        }
        stream.write_all(&[&job.octets, &b"\r\n.\r\n"[..]].concat()).await?;
        if reply(&mut stream).await? == 250 {
            accepted.push(n);
        }
    }
    stream.write_all(b"QUIT\r\n").await
}

async fn reply(stream: &mut BufReader<TcpStream>) -> std::io::Result<u16> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(line.get(..3).and_then(|c| c.parse().ok()).unwrap_or(0));
        }
    }
}
