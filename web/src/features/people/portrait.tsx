import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { personQuery, portraitOf } from "@/client/people";
import { FacePicture } from "@/components/face-picture";

/** The best photo of a person, asked for when it comes near the part of the page that is in sight. */
export function Portrait({ personId, className = "size-16" }: { personId: string; className?: string }) {
  const place = useRef<HTMLSpanElement>(null);
  const [near, setNear] = useState(false);
  const { data } = useQuery({ ...personQuery(personId), enabled: near });
  useEffect(() => {
    const element = place.current;
    if (element === null || near) return;
    const watch = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && setNear(true),
      { rootMargin: "300px" },
    );
    watch.observe(element);
    return () => watch.disconnect();
  }, [near]);
  return (
    <span ref={place} className={`block shrink-0 overflow-hidden rounded-card bg-sunken ${className}`}>
      {data !== undefined && (
        <FacePicture src={portraitOf(data)} name="" className="size-full animate-rise rounded-none" />
      )}
    </span>
  );
}
