//! JSON-RPC over a Unix socket, for those who may read the data folder.

use super::{
    dispatch::{Dispatch, Messages},
    handle::{RpcError, ServerHandle, stopped},
    splitter::Splitter,
};
use crate::{Namespace, RpcContext, RpcLimits, module};
use jsonrpsee::{
    BoundedSubscriptions, MethodResponse, MethodSink, Methods,
    core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
    types::{ErrorCode, ErrorObject, Id, InvalidRequest, Request, error::reject_too_big_batch_request},
};
use serde_json::value::RawValue;
use std::{
    fs::Permissions,
    io::ErrorKind,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

/// Calls of one connection that run or wait to be written; reading stops until one is done.
const CALLS_IN_FLIGHT_MAX: usize = 64;
/// Answers of one connection that wait for the writer; calls wait with theirs.
const ANSWERS_QUEUED_MAX: usize = 16;
/// Subscriptions of one connection; one more is refused.
const SUBSCRIPTIONS_MAX: u32 = 256;
/// Messages of subscriptions that wait for the writer; a subscription that finds them full ends.
const MESSAGES_QUEUED_MAX: usize = 1_024;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Serves every namespace on a socket file that only its owner can open.
///
/// A file left over from a killed process is replaced; one that is answered is an error.
pub async fn serve_ipc(path: &Path, context: RpcContext) -> Result<ServerHandle, RpcError> {
    let limits = context.limits;
    let methods: Methods = module(context, &Namespace::ALL).into();
    clear_stale(path).await?;
    let failed = |error| RpcError::Socket { path: path.to_owned(), error };
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    let (stop, stop_signal) = watch::channel(false);
    let file = SocketFile(path.to_owned());
    let task = tokio::spawn(async move {
        let _file = file;
        accept(listener, methods, limits, stop_signal).await;
    });
    Ok(ServerHandle::new(None, stop, task))
}

/// Removes the file when the server ends, however it ends.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes a socket file that nobody answers on.
async fn clear_stale(path: &Path) -> Result<(), RpcError> {
    let failed = |error| RpcError::Socket { path: path.to_owned(), error };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(RpcError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(failed),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(RpcError::SocketInUse(path.to_owned())),
    }
}

async fn accept(listener: UnixListener, methods: Methods, limits: RpcLimits, stop: watch::Receiver<bool>) {
    let free = Arc::new(Semaphore::new(limits.connections_max as usize));
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            () = stopped(stop.clone()) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        // An error here is the client's (gone already) or passes (too many open files).
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        // A connection over the limit is closed at once.
        let Ok(permit) = free.clone().try_acquire_owned() else { continue };
        let methods = methods.clone();
        number += 1;
        let stop = stop.clone();
        connections.spawn(async move {
            let _permit = permit;
            serve_connection(stream, methods, number, limits, stop).await;
        });
    }
    while connections.join_next().await.is_some() {}
}

/// Serves until the client closes its side or the server stops; the last answers are still written.
async fn serve_connection(
    stream: UnixStream,
    methods: Methods,
    number: usize,
    limits: RpcLimits,
    stop: watch::Receiver<bool>,
) {
    let (reader, writer) = stream.into_split();
    let (answers, queue) = mpsc::channel(ANSWERS_QUEUED_MAX);
    let (sink, messages) = mpsc::channel(MESSAGES_QUEUED_MAX);
    let bytes_max = limits.response_bytes_max;
    let places = BoundedSubscriptions::new(SUBSCRIPTIONS_MAX);
    let sink = MethodSink::new_with_limit(sink, bytes_max);
    let dispatch = Dispatch::new(methods, number, bytes_max, Messages::Queue { sink, places });
    let writing = write(writer, queue, messages);
    let reading = read(reader, dispatch, limits, stop, answers);
    tokio::join!(writing, reading);
}

/// Writes answers, and messages of subscriptions between them, until there will be no more answers.
async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Box<RawValue>>,
    mut messages: mpsc::Receiver<Box<RawValue>>,
) {
    loop {
        let answer = tokio::select! {
            // An answer first: it says by which id messages will come.
            biased;
            answer = queue.recv() => match answer {
                Some(answer) => answer,
                None => return,
            },
            Some(message) = messages.recv() => message,
        };
        if writer.write_all(answer.get().as_bytes()).await.is_err() || writer.write_all(b"\n").await.is_err() {
            // Nobody reads any more: what still runs finds the channel closed.
            return;
        }
    }
}

async fn read(
    mut reader: OwnedReadHalf,
    dispatch: Dispatch,
    limits: RpcLimits,
    stop: watch::Receiver<bool>,
    answers: mpsc::Sender<Box<RawValue>>,
) {
    let mut splitter = Splitter::new(limits.body_bytes_max as usize);
    let mut buffer = vec![0; READ_BYTES];
    let mut calls = JoinSet::new();
    loop {
        let read = tokio::select! {
            () = answers.closed() => return,
            () = stopped(stop.clone()) => break,
            read = reader.read(&mut buffer) => read,
        };
        let Ok(read @ 1..) = read else { break };
        let mut input = &buffer[..read];
        loop {
            let value = match splitter.next(&mut input) {
                Ok(Some(value)) => value,
                Ok(None) => break,
                Err(error) => {
                    // Where the next value begins cannot be known: answer and close.
                    let error = ErrorObject::owned(ErrorCode::ParseError.code(), error.to_string(), None::<()>);
                    let _ = answers.send(MethodResponse::error(Id::Null, error).into_json()).await;
                    while calls.join_next().await.is_some() {}
                    return;
                }
            };
            if calls.len() >= CALLS_IN_FLIGHT_MAX {
                calls.join_next().await;
            }
            let (dispatch, answers) = (dispatch.clone(), answers.clone());
            calls.spawn(async move {
                if let Some(answer) = answer(&dispatch, &value, limits.batch_calls_max).await {
                    let _ = answers.send(answer).await;
                }
            });
        }
    }
    while calls.join_next().await.is_some() {}
}

/// The answer to a request or batch; none if it holds notifications only.
async fn answer(dispatch: &Dispatch, value: &[u8], batch_calls_max: u32) -> Option<Box<RawValue>> {
    let response = if value.first() == Some(&b'[') {
        match serde_json::from_slice::<Vec<&RawValue>>(value) {
            Err(_) => MethodResponse::error(Id::Null, ErrorCode::ParseError),
            Ok(entries) if entries.is_empty() => MethodResponse::error(Id::Null, ErrorCode::InvalidRequest),
            Ok(entries) if entries.len() > batch_calls_max as usize => {
                MethodResponse::error(Id::Null, reject_too_big_batch_request(batch_calls_max as usize))
            }
            Ok(entries) => dispatch.batch(Batch::from(entries.into_iter().map(entry).collect())).await,
        }
    } else {
        match serde_json::from_slice::<&RawValue>(value).map(entry) {
            Err(_) => MethodResponse::error(Id::Null, ErrorCode::ParseError),
            Ok(Ok(BatchEntry::Call(request))) => dispatch.call(request).await,
            Ok(Ok(BatchEntry::Notification(notification))) => dispatch.notification(notification).await,
            Ok(Err(invalid)) => {
                let (error, id) = invalid.into_parts();
                MethodResponse::error(id, error)
            }
        }
    };
    (!response.is_notification()).then(|| response.into_json())
}

/// Reads one request, or says why it is none.
fn entry(value: &RawValue) -> Result<BatchEntry<'_>, BatchEntryErr<'_>> {
    if let Ok(request) = serde_json::from_str::<Request<'_>>(value.get()) {
        return Ok(BatchEntry::Call(request));
    }
    if let Ok(notification) = serde_json::from_str::<Notification<'_>>(value.get()) {
        return Ok(BatchEntry::Notification(notification));
    }
    let id = serde_json::from_str::<InvalidRequest<'_>>(value.get()).map_or(Id::Null, |invalid| invalid.id);
    Err(BatchEntryErr::new(id, ErrorCode::InvalidRequest.into()))
}
