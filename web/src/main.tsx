import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { ApiError } from "./client/api";
import { connection } from "./client/connection";
import { sessionQuery } from "./client/session";
import { Boundary } from "./components/boundary";
import { startLanguages } from "./lib/i18n";
import { applyPreferences } from "./lib/preferences";
import "./styles.css";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // A refusal stays one; a lost connection is mended by `onBack`, and tried once more by itself.
      retry: (failures, error) => !(error instanceof ApiError) && failures < 1,
      staleTime: 5_000,
      networkMode: "always", // a server at home needs no internet
    },
    mutations: { networkMode: "always" },
  },
});

applyPreferences();
connection.start();
connection.onBack(() => void queries.invalidateQueries());
connection.onDoubt((known) => {
  const session = queries.getQueryData(sessionQuery.queryKey);
  if (known === null || (session !== undefined && (session.role !== null) !== known))
    void queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
});

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  navigator.serviceWorker.register("/sw.js").catch(() => {}); // without it the page works all the same
}

const root = document.getElementById("root");
if (root === null) throw new Error("The document has no root");
void startLanguages().then(() =>
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Boundary name="page">
          <App />
        </Boundary>
      </QueryClientProvider>
    </StrictMode>,
  ),
);
