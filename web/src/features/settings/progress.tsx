import { useState } from "react";
import type { Progress } from "@/client/download";

/** How far a download or upload is, while it runs. */
export function useProgress() {
  const [progress, setProgress] = useState<Progress | null>(null);
  const run = async <T,>(work: (onProgress: (progress: Progress) => void) => Promise<T>): Promise<T> => {
    setProgress({ done: 0, of: null });
    try {
      return await work(setProgress);
    } finally {
      setProgress(null);
    }
  };
  return { progress, run };
}

export function Bar({ progress, label }: { progress: Progress | null; label: string }) {
  if (progress === null) return null;
  return (
    <progress
      aria-label={label}
      className="h-3 w-full accent-accent"
      {...(progress.of === null ? {} : { value: progress.done, max: progress.of })}
    />
  );
}
