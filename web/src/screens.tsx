import { ChartNoAxesColumn, CircleQuestionMark, Settings, UserPlus, Users, Video } from "lucide-react";
import { type ComponentType, lazy, type ReactNode } from "react";
import { load } from "./client/part";
import type { Role } from "./client/session";
import { Live } from "./features/live/live";
import type { Key } from "./lib/i18n";

/**
 * Every screen: its address, who may see it, and its place in the navigation. A new one is a line here, a line in
 * SCREENS of src/visage/api/wire/page.py and in src/service-worker.js, and a folder in features/. All but Live are loaded when they are opened.
 */
export interface Screen {
  path: string;
  /** Who may see it. */
  role: Role;
  component: ComponentType;
  /** In the navigation; `first` stays in sight on a phone, the others are behind "More". */
  nav?: { label: Key; icon: ReactNode; first: boolean };
}

const People = lazy(() => load("people", () => import("./features/people/people")));
const Person = lazy(() => load("person", () => import("./features/people/person")));
const Add = lazy(() => load("add", () => import("./features/add/add")));
const Unknown = lazy(() => load("unknown", () => import("./features/unknown/unknown")));
const Report = lazy(() => load("report", () => import("./features/report/report")));
const Preferences = lazy(() => load("settings", () => import("./features/settings/settings")));

export const SCREENS: readonly Screen[] = [
  { path: "/", role: "viewer", component: Live, nav: { label: "nav.live", icon: <Video />, first: true } },
  { path: "/people", role: "viewer", component: People, nav: { label: "nav.people", icon: <Users />, first: true } },
  { path: "/people/:personId", role: "viewer", component: Person },
  { path: "/add", role: "editor", component: Add, nav: { label: "nav.add", icon: <UserPlus />, first: true } },
  {
    path: "/unknown",
    role: "editor",
    component: Unknown,
    nav: { label: "nav.unknown", icon: <CircleQuestionMark />, first: false },
  },
  {
    path: "/report",
    role: "editor",
    component: Report,
    nav: { label: "nav.report", icon: <ChartNoAxesColumn />, first: false },
  },
  {
    path: "/settings",
    role: "viewer",
    component: Preferences,
    nav: { label: "nav.settings", icon: <Settings />, first: false },
  },
];
