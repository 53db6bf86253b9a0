use crate::{
    api::{UNKNOWN_METHOD, count},
    subscribe::HexIds,
};
use futures::{
    FutureExt,
    future::{BoxFuture, Either, ready},
};
use jsonrpsee::{
    BatchResponseBuilder, BoundedSubscriptions, ConnectionId, MethodCallback, MethodResponse, MethodSink, Methods,
    SubscriptionState,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    server::middleware::rpc::RpcService,
    types::{ErrorObject, Id, Params, Request, error::METHOD_NOT_FOUND_CODE},
};

/// Finds a call's method and runs it: the one place where all transports meet.
///
/// Notifications are not run: nothing that we serve has an effect which outlives its answer.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    methods: Methods,
    connection: ConnectionId,
    response_bytes_max: usize,
    messages: Messages,
}

/// How a connection is told of what it subscribed to.
#[derive(Debug, Clone)]
pub(super) enum Messages {
    /// By the library's own service, if it came as a WebSocket, which the gate has marked.
    Server(RpcService),
    /// By a queue of ours.
    Queue { sink: MethodSink, places: BoundedSubscriptions },
}

/// Marks requests of a WebSocket.
#[derive(Debug, Clone, Copy)]
pub(super) struct OverWebSocket;

impl Dispatch {
    pub(super) fn new(methods: Methods, connection: usize, response_bytes_max: u32, messages: Messages) -> Self {
        Self {
            methods,
            connection: ConnectionId(connection),
            response_bytes_max: response_bytes_max as usize,
            messages,
        }
    }

    /// A call that begins or ends a subscription.
    fn subscribe<'a>(&self, request: Request<'a>) -> BoxFuture<'a, MethodResponse> {
        let refuse = |id: Id<'a>, message: &str| {
            let error = ErrorObject::owned(METHOD_NOT_FOUND_CODE, message, None::<()>);
            async move { MethodResponse::error(id, error) }.boxed()
        };
        match &self.messages {
            Messages::Server(service) if request.extensions.get::<OverWebSocket>().is_some() => {
                service.call(request).boxed()
            }
            Messages::Server(_) => refuse(request.id, "notifications not supported: subscribe over WebSocket or IPC"),
            Messages::Queue { sink, places } => {
                let Request { id, method, params, extensions, .. } = request;
                let params = Params::new(params.as_ref().map(|params| params.get()));
                match self.methods.method(&method) {
                    Some(MethodCallback::Subscription(run)) => {
                        let Some(place) = places.acquire() else {
                            return refuse(id, "too many subscriptions on this connection");
                        };
                        let state = SubscriptionState {
                            conn_id: self.connection,
                            id_provider: &HexIds,
                            subscription_permit: place,
                        };
                        run(id, params, sink.clone(), state, extensions)
                    }
                    Some(MethodCallback::Unsubscription(run)) => {
                        ready(run(id, params, self.connection, self.response_bytes_max, extensions)).boxed()
                    }
                    _ => refuse(id, "not a subscription"),
                }
            }
        }
    }
}

impl RpcServiceT for Dispatch {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        if let Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_)) =
            self.methods.method(&request.method)
        {
            return Either::Right(Either::Left(self.subscribe(request)));
        }
        let Request { id, method, params, extensions, .. } = request;
        let params = Params::new(params.as_ref().map(|params| params.get()));
        match self.methods.method(&method) {
            Some(MethodCallback::Sync(run)) => {
                Either::Left(ready(run(id, params, self.response_bytes_max, extensions)))
            }
            Some(MethodCallback::Async(run)) => {
                let (id, params) = (id.into_owned(), params.into_owned());
                Either::Right(Either::Right(run(id, params, self.connection, self.response_bytes_max, extensions)))
            }
            // Subscriptions were dealt with before.
            Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_)) | None => {
                count(UNKNOWN_METHOD);
                let message = format!("the method {method} does not exist/is not available");
                let error = ErrorObject::owned(METHOD_NOT_FOUND_CODE, message, None::<()>);
                Either::Left(ready(MethodResponse::error(id, error).with_extensions(extensions)))
            }
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let dispatch = self.clone();
        async move {
            let mut answers = BatchResponseBuilder::new_with_limit(dispatch.response_bytes_max);
            let mut notified = false;
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => dispatch.call(request).await,
                    Ok(BatchEntry::Notification(_)) => {
                        notified = true;
                        continue;
                    }
                    Err(invalid) => {
                        let (error, id) = invalid.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_big) = answers.append(answer) {
                    return too_big;
                }
            }
            if answers.is_empty() && notified {
                return MethodResponse::notification();
            }
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        ready(MethodResponse::notification().with_extensions(notification.extensions))
    }
}
