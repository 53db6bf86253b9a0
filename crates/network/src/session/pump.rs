//! Bytes between a stream and a session.

use super::ending::Ending;
use crate::{
    outbox::{Outbox, Packet},
    report::{Line, Order},
};
use starling_devp2p::{
    Established, Event, Message, Protocol, Session,
    session::{CLOSE_FLUSH, SendError},
};
use starling_peers::DropReason;
use std::{future::Future, pin::pin, time::Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// What one read takes at most, in bytes.
const READ_BYTES: usize = 64 << 10;
/// Messages are sealed while less output than this waits: enough to keep the stream busy, so that the rest stays in
/// the outbox, which counts it.
const OUTPUT_BYTES_LOW: usize = 256 << 10;

/// A session and its stream.
pub(super) struct Pump<S> {
    session: Session,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    buffer: Box<[u8]>,
    /// What of the buffer the session has not taken yet.
    unread: std::ops::Range<usize>,
    /// The protocol that packets of the outbox belong to.
    protocol: Option<Protocol>,
}

/// Something for the task.
pub(super) enum Step {
    Established(Established),
    Message(Message),
    Ordered(Order),
}

/// What a wait ended with.
enum Moved<T> {
    Bytes,
    Ordered(Order),
    Packet(Packet),
    Done(T),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    pub(super) fn new(stream: S, session: Session) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { session, reader, writer, buffer: vec![0; READ_BYTES].into(), unread: 0..0, protocol: None }
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Runs until there is something to do.
    pub(super) async fn step(&mut self, line: &mut Line) -> Result<Step, Ending> {
        self.step_from(line, None).await
    }

    /// The same, and sends what is put into the outbox meanwhile.
    pub(super) async fn step_with(&mut self, line: &mut Line, outbox: &Outbox) -> Result<Step, Ending> {
        self.step_from(line, Some(outbox)).await
    }

    async fn step_from(&mut self, line: &mut Line, outbox: Option<&Outbox>) -> Result<Step, Ending> {
        loop {
            self.feed();
            match self.session.poll() {
                Some(Event::Established(established)) => return Ok(Step::Established(established)),
                Some(Event::Message(message)) => return Ok(Step::Message(message)),
                Some(Event::Closed(cause)) => return Err(cause.into()),
                None => {}
            }
            if let Moved::Ordered(order) = self.move_bytes(line, outbox, true, std::future::pending::<()>()).await? {
                return Ok(Step::Ordered(order));
            }
        }
    }

    /// Waits for something else while output goes on; nothing is read, so that the peer is slowed down.
    pub(super) async fn while_pumping<T>(
        &mut self,
        line: &mut Line,
        outbox: &Outbox,
        wait: impl Future<Output = T>,
    ) -> Result<T, Ending> {
        let mut wait = pin!(wait);
        loop {
            match self.move_bytes(line, Some(outbox), false, wait.as_mut()).await? {
                Moved::Done(done) => return Ok(done),
                Moved::Ordered(Order::Drop(reason)) => return Err(reason.into()),
                Moved::Ordered(Order::Keep) | Moved::Bytes | Moved::Packet(_) => {}
            }
        }
    }

    /// Waits for the manager while output goes on and nothing is read.
    pub(super) async fn flush_until_ordered(&mut self, line: &mut Line) -> Result<Order, Ending> {
        loop {
            if let Moved::Ordered(order) = self.move_bytes(line, None, false, std::future::pending::<()>()).await? {
                return Ok(order);
            }
        }
    }

    /// Gives the session what was read before it had room.
    fn feed(&mut self) {
        if !self.unread.is_empty() {
            let taken = self.session.receive(&self.buffer[self.unread.clone()], Instant::now());
            self.unread.start += taken;
        }
    }

    /// One read, write, packet, order or timeout.
    async fn move_bytes<T>(
        &mut self,
        line: &mut Line,
        outbox: Option<&Outbox>,
        reads: bool,
        wait: impl Future<Output = T>,
    ) -> Result<Moved<T>, Ending> {
        let reads = reads && self.unread.is_empty();
        let has_output = !self.session.output().is_empty();
        let takes_packets = self.session.output().len() < OUTPUT_BYTES_LOW;
        let deadline = self.session.next_deadline();
        let moved = tokio::select! {
            order = line.order() => Moved::Ordered(order),
            done = wait => Moved::Done(done),
            written = self.writer.write(self.session.output()), if has_output => {
                match written {
                    Ok(bytes) if bytes > 0 => self.session.output_sent(bytes, Instant::now()),
                    _ => return Err(DropReason::ConnectionLost.into()),
                }
                Moved::Bytes
            }
            read = self.reader.read(&mut self.buffer), if reads => {
                match read {
                    Ok(bytes) if bytes > 0 => self.unread = 0..bytes,
                    _ => return Err(DropReason::ConnectionLost.into()),
                }
                Moved::Bytes
            }
            packet = pop(outbox), if takes_packets => Moved::Packet(packet),
            () = sleep_until(deadline) => {
                self.session.handle_timeout(Instant::now());
                Moved::Bytes
            }
        };
        match moved {
            Moved::Packet(packet) => {
                self.seal(outbox, &packet)?;
                Ok(Moved::Bytes)
            }
            other => Ok(other),
        }
    }

    fn seal(&mut self, outbox: Option<&Outbox>, packet: &Packet) -> Result<(), Ending> {
        let Some(outbox) = outbox else { return Ok(()) };
        let protocol = *self.protocol.get_or_insert_with(|| outbox.version().protocol());
        match self.session.send(&protocol, packet.id, &packet.payload, Instant::now()) {
            // A message beyond the limit is ours to have prevented; the peer waits for an answer that will not come.
            Ok(()) | Err(SendError::TooLarge { .. } | SendError::NotSpoken { .. }) => Ok(()),
            // The session is over and will say so when polled.
            Err(SendError::NotOpen) => Ok(()),
            Err(SendError::Full { .. }) => Err(DropReason::SlowReader.into()),
        }
    }

    /// Writes what is left, tells the peer that no more comes, and reads until it has closed too, all within
    /// [`CLOSE_FLUSH`]. A stream that is closed while input waits is reset, and the peer would not see the reason.
    pub(super) async fn finish(&mut self) {
        let flush = async {
            while !self.session.output().is_empty() {
                match self.writer.write(self.session.output()).await {
                    Ok(bytes) if bytes > 0 => self.session.output_sent(bytes, Instant::now()),
                    _ => return,
                }
            }
            if self.writer.shutdown().await.is_ok() {
                while matches!(self.reader.read(&mut self.buffer).await, Ok(bytes) if bytes > 0) {}
            }
        };
        // A peer that does not take it in time has lost its chance.
        let _ = tokio::time::timeout(CLOSE_FLUSH, flush).await;
    }
}

async fn pop(outbox: Option<&Outbox>) -> Packet {
    match outbox {
        Some(outbox) => outbox.pop().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
