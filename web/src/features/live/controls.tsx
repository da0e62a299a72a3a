import { Play, RotateCcw, Square, ThumbsDown, Volume2, VolumeX } from "lucide-react";
import type { ReactNode } from "react";
import { useLanguage } from "@/lib/i18n";
import { prefer, usePreferences } from "@/lib/preferences";

/** What can be done at any time; always in the same place. */
export function Controls({
  running,
  onStart,
  onStop,
  onAgain,
  onWrong,
}: {
  running: boolean;
  onStart: () => void;
  onStop: () => void;
  /** null: this device cannot speak. */
  onAgain: (() => void) | null;
  /** null: no name is shown that could be wrong. */
  onWrong: (() => void) | null;
}) {
  const { t } = useLanguage();
  const { speech } = usePreferences();
  return (
    <div data-controls="" className="@container/controls">
      <div className="grid grid-cols-2 gap-2 @min-[19rem]/controls:grid-cols-4">
        <Control icon={<ThumbsDown />} onPress={onWrong}>
          {t("live.wrong")}
        </Control>
        <Control icon={<RotateCcw />} onPress={onAgain}>
          {t("live.again")}
        </Control>
        <Control icon={speech ? <Volume2 /> : <VolumeX />} onPress={() => prefer({ speech: !speech })}>
          {t(speech ? "live.mute" : "live.speak")}
        </Control>
        <Control icon={running ? <Square /> : <Play />} onPress={running ? onStop : onStart}>
          {t(running ? "live.stop" : "live.start.short")}
        </Control>
      </div>
    </div>
  );
}

function Control({
  icon,
  onPress,
  children,
}: {
  icon: ReactNode;
  onPress: (() => void) | null;
  children: ReactNode;
}) {
  return (
    <button
      type="button"
      onClick={onPress ?? undefined}
      aria-disabled={onPress === null || undefined}
      className="flex min-h-14 min-w-0 items-center justify-center gap-x-2 gap-y-1 rounded-2xl border-2 border-edge bg-surface px-1 py-2 text-center leading-tight font-semibold wrap-anywhere text-ink hover:bg-sunken @min-[19rem]/controls:min-h-18 @min-[19rem]/controls:flex-col aria-disabled:cursor-not-allowed aria-disabled:border-line aria-disabled:bg-transparent aria-disabled:text-soft"
    >
      <span aria-hidden="true" className="shrink-0 [&>svg]:size-7">
        {icon}
      </span>
      {children}
    </button>
  );
}
