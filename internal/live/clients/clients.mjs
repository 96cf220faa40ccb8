// Subscribes to SERVER_URL with each client, by SERVER_TOKEN, after the change AFTER, until
// it is told of a contact with the name LAST. Prints "ready" when all have been told of
// something, and at the end one JSON line per client: {"client","positions","cuts"}, where
// cuts is how often it was cut off and went on.
import { ApolloClient, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, subscriptionExchange } from '@urql/core';
import { createClient as createSSE } from 'graphql-sse';
import { createClient as createWS } from 'graphql-ws';
import { WebSocket } from 'ws';

// Apollo's link asks it what a connection that was refused means. Browsers have it; Node
// before 22 has not.
globalThis.WebSocket ??= WebSocket;

const { SERVER_URL, SERVER_TOKEN, AFTER, LAST, CONTROL } = process.env;
const query = `subscription Changed($after: String) {
  changed(after: $after) { id position entity { ... on Contact { name } } } }`;
const credentials = { Authorization: `Bearer ${SERVER_TOKEN}` };
const socket = { url: SERVER_URL.replace(/^http/, 'ws'), webSocketImpl: WebSocket, connectionParams: credentials };
const soon = () => new Promise((go) => setTimeout(go, 100 + 200 * Math.random()));

// run has subscribe called with the variables to go on with, again whenever it ends, and
// gathers what it tells. subscribe(variables, told, over) begins; over() is its end.
function run(client, subscribe) {
  const state = { client, positions: [], cuts: 0 };
  const variables = { after: AFTER };
  state.done = new Promise((finish) => {
    const told = ({ changed }) => {
      state.positions.push(changed.position);
      if (!CONTROL) variables.after = changed.id;
      else variables.after = null;
      state.heard?.();
      if (changed.entity?.name === LAST) {
        state.finished = true;
        finish();
      }
    };
    const begin = () => {
      let once = false;
      subscribe(variables, told, async (why) => {
        if (once || state.finished) return;
        once = true;
        state.cuts++;
        if (process.env.VERBOSE) console.error(client, String(why?.reason ?? why?.message ?? why));
        await soon();
        begin();
      });
    };
    begin();
  });
  state.ready = new Promise((heard) => (state.heard = heard));
  return state;
}

// graphql-ws goes on by itself and sends the same object again: its variables are kept up
// to date.
const ws = createWS({ ...socket, retryAttempts: 1000, retryWait: soon, shouldRetry: () => true });
const own = run('graphql-ws', (variables, told, over) => {
  ws.on('closed', () => own.cuts++);
  ws.subscribe({ query, variables }, { next: ({ data }) => told(data), error: over, complete: over });
});

// So does graphql-sse.
const sse = createSSE({ url: SERVER_URL, headers: credentials, retryAttempts: 1000, retry: async () => { events.cuts++; await soon(); } });
const events = run('graphql-sse', (variables, told, over) => {
  sse.subscribe({ query, variables }, { next: ({ data }) => told(data), error: over, complete: over });
});

// Apollo and urql are asked anew by the application, with what it has seen.
const forApollo = createWS({ ...socket, retryAttempts: 0 });
const apollo = new ApolloClient({ cache: new InMemoryCache(), link: new GraphQLWsLink(forApollo) });
const viaApollo = run('apollo', (variables, told, over) => {
  apollo
    .subscribe({ query: gql(query), variables: { ...variables }, fetchPolicy: 'no-cache' })
    .subscribe({ next: ({ data, error }) => (error ? over(error) : told(data)), error: over, complete: over });
});

const forUrql = createWS({ ...socket, retryAttempts: 0 });
const urql = new Client({
  url: SERVER_URL,
  preferGetMethod: false,
  exchanges: [
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({ unsubscribe: forUrql.subscribe({ query: request.query ?? '', variables: request.variables }, sink) }),
      }),
    }),
  ],
});
const viaUrql = run('urql', (variables, told, over) => {
  const { unsubscribe } = urql.subscription(query, { ...variables }).subscribe(({ data, error }) => {
    if (error) {
      unsubscribe?.();
      over(error);
    } else told(data);
  });
});

const all = [own, events, viaApollo, viaUrql];
await Promise.all(all.map((state) => state.ready));
console.log('ready');
await Promise.all(all.map((state) => state.done));
for (const { client, positions, cuts } of all) console.log(JSON.stringify({ client, positions, cuts }));
process.exit(0);
